#include "lib/enrol/test_enrol_rig.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

char rig_dir[TEST_FOLDER_LEN];
char rig_ca_cert[96], rig_ca_key[96];
const struct issuer_config rig_config = { .cert = rig_ca_cert, .key = rig_ca_key, .trust = rig_ca_cert, .lifetime_s = LIFETIME_S };

void
rig_write_ca(bool may_sign)
{
	EVP_PKEY *key = csr_make_key();
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	X509_EXTENSION *basic = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, may_sign ? "critical,CA:TRUE" : "CA:FALSE");
	X509_EXTENSION *usage = X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, may_sign ? "critical,keyCertSign" : "digitalSignature");
	FILE *file;

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)NOW_S + 365 * 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"CA", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	X509_add_ext(cert, basic, -1);
	X509_add_ext(cert, usage, -1);
	assert_true(X509_sign(cert, key, EVP_sha384()) > 0);
	file = fopen(rig_ca_cert, "w");
	assert_int_equal(PEM_write_X509(file, cert), 1);
	fclose(file);
	file = fopen(rig_ca_key, "w");
	fchmod(fileno(file), 0600);
	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	X509_EXTENSION_free(basic);
	X509_EXTENSION_free(usage);
	X509_free(cert);
	EVP_PKEY_free(key);
}

int
rig_setup(void **unused)
{
	assert_int_equal(test_folder_make(rig_dir, "/tmp", "test_enrol"), 0);
	snprintf(rig_ca_cert, sizeof(rig_ca_cert), "%s/ca.pem", rig_dir);
	snprintf(rig_ca_key, sizeof(rig_ca_key), "%s/ca.key", rig_dir);
	rig_write_ca(true);
	return 0;
}

int
rig_teardown(void **unused)
{
	return test_folder_remove(rig_dir);
}

struct csr
rig_csr_of(EVP_PKEY *key)
{
	char text[CSR_LEN_MAX];
	struct buf pem = { .data = text, .cap = sizeof(text) };
	struct csr csr;
	const char *why;

	assert_int_equal(csr_put(key, "whoever", &pem), 0);
	assert_int_equal(csr_read(&csr, text, pem.len, &why), 0);
	return csr;
}

struct csr
rig_csr(void)
{
	EVP_PKEY *key = csr_make_key();
	struct csr csr = rig_csr_of(key);

	EVP_PKEY_free(key);
	return csr;
}
