/* What the tests of this folder share: a folder of their own with a CA, and good requests. */
#ifndef MR_ENROL_TEST_ENROL_RIG_H
#define MR_ENROL_TEST_ENROL_RIG_H

#include "test/test.h"

#include "lib/enrol/csr.h"
#include "lib/enrol/issuer.h"
#include "test/folder.h"

enum { NOW_S = 1800000000, LIFETIME_S = 3600 };

extern char rig_dir[TEST_FOLDER_LEN];
extern char rig_ca_cert[96], rig_ca_key[96];
extern const struct issuer_config rig_config;

/** Makes the folder and its CA. For cmocka. */
int rig_setup(void **unused);
int rig_teardown(void **unused);
/** A root that may sign certificates, or not. */
void rig_write_ca(bool may_sign);
/** With a new key. */
struct csr rig_csr(void);
struct csr rig_csr_of(EVP_PKEY *key);

#endif
