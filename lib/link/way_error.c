/* The names of what goes wrong on a way, and what to do about it. */
#include "lib/link/way.h"

static const struct {
	const char *name;
	const char *advice;
} errors[WAY_ERROR_COUNT] = {
	[WAY_DONE] = { "done", "nothing is wrong" },
	[WAY_NAME_UNKNOWN] = { "name-unknown",
		"check the spelling and the machine's DNS, or give the name an address in uplink.hosts" },
	[WAY_NAME_TIMEOUT] = { "name-timeout", "the DNS server does not answer: check resolv.conf, or use uplink.hosts" },
	[WAY_SOURCE] = { "source", "the way's source address or interface is not on this machine: check `ip address`" },
	[WAY_TCP_REFUSED] = { "tcp-refused", "nothing listens there: check host and port, and that the service runs" },
	[WAY_TCP_TIMEOUT] = { "tcp-timeout", "no answer to SYN: a firewall drops it, or the host is down" },
	[WAY_TCP_UNREACHABLE] = { "tcp-unreachable", "there is no route: check `ip route`, the interface and the cable" },
	[WAY_PROXY_AUTH] = { "proxy-auth", "the proxy wants other credentials: check the hop's user, password-file and auth" },
	[WAY_PROXY_DENIED] = { "proxy-denied", "the proxy's rules forbid it: allow CONNECT to the next host and port there" },
	[WAY_PROXY_GATEWAY] = { "proxy-gateway", "the proxy works but cannot reach what is behind it: look there" },
	[WAY_PROXY_STATUS] = { "proxy-status", "the proxy answered something else than yes: its log tells more" },
	[WAY_PROXY_GARBAGE] = { "proxy-garbage", "what answers there is no such proxy: check the hop's scheme and port" },
	[WAY_PROXY_CLOSED] = { "proxy-closed", "the proxy hung up without an answer: its log tells why" },
	[WAY_PROXY_TIMEOUT] = { "proxy-timeout", "the proxy took the connection but says nothing: is it overloaded?" },
	[WAY_TLS_GARBAGE] = { "tls-garbage",
		"what answers there does not speak TLS: a wrong port, or a portal or proxy in between" },
	[WAY_TLS_CLOSED] = { "tls-closed", "hung up in the handshake: a firewall that looks into TLS, or a wrong port" },
	[WAY_TLS_TIMEOUT] = { "tls-timeout", "the handshake got no answer: large packets may be lost (MTU), or it is overloaded" },
	[WAY_TLS_VERSION] = { "tls-version", "the other end knows neither TLS 1.3 nor 1.2 with AES-256-GCM: bring it up to date" },
	[WAY_TLS_EXPIRED] = { "tls-expired", "renew the certificate there; if it is still valid, this machine's clock is wrong" },
	[WAY_TLS_NOT_YET] = { "tls-not-yet", "the certificate is not valid yet: this machine's clock is probably wrong" },
	[WAY_TLS_NAME] = { "tls-name", "the certificate is for another name: use one of its names in uplink.url" },
	[WAY_TLS_UNKNOWN_CA] = { "tls-unknown-ca",
		"not signed by uplink.ca: a wrong CA file, or a proxy that opens TLS (trust it by the way's inspect-ca, if meant)" },
	[WAY_TLS_PIN] = { "tls-pin", "the server has another key than uplink.pin: if it was changed on purpose, change the pin" },
	[WAY_TLS_WEAK] = { "tls-weak", "the certificate's key or signature is too weak: issue it anew" },
	[WAY_TLS_REVOKED] = { "tls-revoked", "the other end's certificate was revoked: it needs a new one, with a new key" },
	[WAY_TLS_CRL] = { "tls-crl", "uplink.crl has no current revocation list of each CA: fetch it anew from the CA" },
	[WAY_TLS_CLIENT] = { "tls-client",
		"the aggregator does not take this sensor's certificate: expired, revoked, or of another CA than its tls.ca" },
	[WAY_TLS_FAILED] = { "tls-failed", "the handshake failed: the text tells more" },
	[WAY_CUT] = { "cut", "the connection was cut: a proxy's or firewall's time limit, or a restart" },
	[WAY_STALLED] = { "stalled", "nothing came back for uplink.timeout-ms: the aggregator, or a proxy, is stuck" },
	[WAY_HTTP_GARBAGE] = { "http-garbage", "what answers is not an aggregator: check uplink.url and proxies that open TLS" },
	[WAY_HTTP_DENIED] = { "http-denied", "the aggregator knows the certificate but refuses the sensor: its log tells why" },
	[WAY_HTTP_LATER] = { "http-later", "the aggregator asks to come back later: it is overloaded, or its store is ill" },
	[WAY_BATCH_REFUSED] = { "batch-refused", "the aggregator does not take the test batch: compare the versions of both" },
	[WAY_CANCELLED] = { "cancelled", "given up by the sensor itself" },
	[WAY_INTERNAL] = { "internal", "no memory or no thread: check the machine" },
};

const char *
way_error_name(enum way_error error)
{
	return errors[error].name;
}

const char *
way_error_advice(enum way_error error)
{
	return errors[error].advice;
}
