/* Names for what curl says; how a way failed is known better from the relay. */
#include <stdio.h>
#include <string.h>

#include "lib/link/uplink_private.h"
#include "lib/link/way_stream.h"

/* libcurl tells OpenSSL's reasons by text only. */
static const struct {
	const char *text;
	enum way_error error;
} reasons[] = {
	{ "wrong version number", WAY_TLS_GARBAGE },
	{ "packet length too long", WAY_TLS_GARBAGE },
	{ "http request", WAY_TLS_GARBAGE },
	{ "unsupported protocol", WAY_TLS_VERSION },
	{ "alert protocol version", WAY_TLS_VERSION },
	{ "alert handshake failure", WAY_TLS_VERSION },
	{ "alert insufficient security", WAY_TLS_VERSION },
	{ "key too small", WAY_TLS_WEAK },
	{ "matches target ", WAY_TLS_NAME },
	{ "match target ", WAY_TLS_NAME },
	{ " alert ", WAY_TLS_CLIENT },
	{ "unexpected eof", WAY_TLS_CLOSED },
	{ "SSL_ERROR_SYSCALL", WAY_TLS_CLOSED },
	{ "SSL_ERROR_ZERO_RETURN", WAY_TLS_CLOSED },
	/* Over HTTP/2 its code is that of a fault of the protocol. */
	{ "Send failure", WAY_CUT },
	{ "Recv failure", WAY_CUT },
};

static const struct {
	CURLcode code;
	enum way_error error;
} codes[] = {
	{ CURLE_SSL_PINNEDPUBKEYNOTMATCH, WAY_TLS_PIN },
	{ CURLE_SSL_CACERT_BADFILE, WAY_TLS_UNKNOWN_CA },
	{ CURLE_SSL_CRL_BADFILE, WAY_TLS_CRL },
	{ CURLE_SSL_CERTPROBLEM, WAY_TLS_CLIENT },
	{ CURLE_SSL_CONNECT_ERROR, WAY_TLS_FAILED },
	{ CURLE_PEER_FAILED_VERIFICATION, WAY_TLS_FAILED },
	{ CURLE_WEIRD_SERVER_REPLY, WAY_HTTP_GARBAGE },
	{ CURLE_HTTP2, WAY_HTTP_GARBAGE },
	{ CURLE_HTTP2_STREAM, WAY_CUT },
	{ CURLE_UNSUPPORTED_PROTOCOL, WAY_HTTP_GARBAGE },
	{ CURLE_BAD_CONTENT_ENCODING, WAY_HTTP_GARBAGE },
	{ CURLE_OUT_OF_MEMORY, WAY_INTERNAL },
	{ CURLE_COULDNT_CONNECT, WAY_INTERNAL },
	{ CURLE_GOT_NOTHING, WAY_CUT },
	{ CURLE_PARTIAL_FILE, WAY_CUT },
	{ CURLE_SEND_ERROR, WAY_CUT },
	{ CURLE_RECV_ERROR, WAY_CUT },
};

static bool
handshake_done(const struct uplink_flight *flight)
{
	curl_off_t us = 0;

	curl_easy_getinfo(flight->easy, CURLINFO_APPCONNECT_TIME_T, &us);
	return us > 0;
}

static enum way_error
name_of(const struct uplink_flight *flight, CURLcode result, const char *text)
{
	long verify = X509_V_OK;

	if (result == CURLE_OPERATION_TIMEDOUT)
		return handshake_done(flight) ? WAY_STALLED : WAY_TLS_TIMEOUT;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strstr(text, reasons[i].text) != NULL && (reasons[i].error != WAY_TLS_CLOSED || !handshake_done(flight)))
			return reasons[i].error;
	/* Not before the texts: of a name that differs, which curl finds itself, there is no more than "unspecified". */
	if (result == CURLE_PEER_FAILED_VERIFICATION)
		curl_easy_getinfo(flight->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
	if (verify != X509_V_OK)
		return way_verify_error(verify);
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == result)
			return codes[i].error;
	return WAY_CUT;
}

void
uplink_fault_name(const struct uplink_flight *flight, CURLcode result, struct way_failure *out)
{
	const char *text = flight->error[0] != '\0' ? flight->error : curl_easy_strerror(result);

	if (flight->way_failure.error != WAY_DONE) {
		*out = flight->way_failure;
		return;
	}
	way_fail(out, name_of(flight, result, text), "%s", text);
}
