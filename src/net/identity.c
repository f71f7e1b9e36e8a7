#include "net/identity.h"

#include "base/fs.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdatomic.h>
#include <string.h>

#define KEY_FILE_MAX 16384

struct lsp_identity {
	_Atomic unsigned references;
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t certificate;
	gnutls_certificate_credentials_t credentials;
	struct lsp_hash peer_id;
	struct lsp_hash seed; /* of the private key: where the secrets come from */
};

static int tls_error(struct lsp_error *err, int code, const char *what)
{
	if (code == GNUTLS_E_MEMORY_ERROR)
		return lsp_error_no_memory(err, "net");
	return lsp_error_set(err, "net", LSP_E_FAILED, "%s: %s", what, gnutls_strerror(code));
}

struct lsp_identity *lsp_identity_ref(struct lsp_identity *identity)
{
	atomic_fetch_add(&identity->references, 1);
	return identity;
}

void lsp_identity_unref(struct lsp_identity *identity)
{
	if (!identity || atomic_fetch_sub(&identity->references, 1) != 1)
		return;
	if (identity->credentials)
		gnutls_certificate_free_credentials(identity->credentials);
	if (identity->certificate)
		gnutls_x509_crt_deinit(identity->certificate);
	if (identity->key)
		gnutls_x509_privkey_deinit(identity->key);
	gnutls_memset(&identity->seed, 0, sizeof identity->seed);
	free(identity);
}

const struct lsp_hash *lsp_identity_peer_id(const struct lsp_identity *identity)
{
	return &identity->peer_id;
}

gnutls_certificate_credentials_t lsp_identity_credentials(const struct lsp_identity *identity)
{
	return identity->credentials;
}

void lsp_identity_secret(
	const struct lsp_identity *identity, const char *purpose, struct lsp_hash *ret_secret)
{
	struct lsp_hash name;
	lsp_sha256(&name, purpose, strlen(purpose));
	lsp_sha256_pair(ret_secret, &identity->seed, &name);
}

/* ---- The peer id ---- */

static int hash_public_key(gnutls_x509_crt_t certificate, struct lsp_hash *ret_peer_id)
{
	gnutls_pubkey_t public_key;
	gnutls_datum_t der = {0};
	int r = gnutls_pubkey_init(&public_key);
	if (r < 0)
		return r;
	r = gnutls_pubkey_import_x509(public_key, certificate, 0);
	if (r >= 0)
		r = gnutls_pubkey_export2(public_key, GNUTLS_X509_FMT_DER, &der);
	if (r >= 0)
		lsp_sha256(ret_peer_id, der.data, der.size);
	gnutls_free(der.data);
	gnutls_pubkey_deinit(public_key);
	return r;
}

int lsp_identity_of_certificate(
	const void *der, size_t size, struct lsp_hash *ret_peer_id, struct lsp_error *err)
{
	gnutls_x509_crt_t certificate;
	gnutls_datum_t datum = {(unsigned char *)der, (unsigned)size};
	int r = gnutls_x509_crt_init(&certificate);
	if (r < 0)
		return tls_error(err, r, "certificate");
	r = gnutls_x509_crt_import(certificate, &datum, GNUTLS_X509_FMT_DER);
	if (r >= 0)
		r = hash_public_key(certificate, ret_peer_id);
	gnutls_x509_crt_deinit(certificate);
	if (r == GNUTLS_E_MEMORY_ERROR)
		return lsp_error_no_memory(err, "net");
	if (r < 0)
		return lsp_error_set(err, "net", LSP_E_PROTOCOL,
			"the peer's certificate cannot be read: %s", gnutls_strerror(r));
	return 0;
}

/* ---- From a key to an identity ---- */

static int take_seed(struct lsp_identity *identity)
{
	gnutls_ecc_curve_t curve;
	gnutls_datum_t x = {0}, y = {0}, k = {0};
	int r = gnutls_x509_privkey_export_ecc_raw(identity->key, &curve, &x, &y, &k);
	if (r >= 0 && curve != GNUTLS_ECC_CURVE_ED25519)
		r = GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM;
	if (r >= 0)
		lsp_sha256(&identity->seed, k.data, k.size);
	if (k.data)
		gnutls_memset(k.data, 0, k.size);
	gnutls_free(x.data);
	gnutls_free(y.data);
	gnutls_free(k.data);
	return r;
}

/* Nothing in it but the key means anything; the dates are as wide as X.509 can say. */
static int make_certificate(struct lsp_identity *identity)
{
	static const char name[] = "lanspread";
	uint8_t serial[16];
	lsp_random_bytes(serial, sizeof serial);
	serial[0] = (serial[0] & 0x7f) | 1;
	gnutls_x509_crt_t certificate;
	int r = gnutls_x509_crt_init(&certificate);
	if (r < 0)
		return r;
	identity->certificate = certificate;
	if ((r = gnutls_x509_crt_set_version(certificate, 3)) < 0 ||
		(r = gnutls_x509_crt_set_serial(certificate, serial, sizeof serial)) < 0 ||
		(r = gnutls_x509_crt_set_activation_time(certificate, 0)) < 0 ||
		(r = gnutls_x509_crt_set_expiration_time(
			 certificate, GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION)) < 0 ||
		(r = gnutls_x509_crt_set_dn_by_oid(
			 certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name, sizeof name - 1)) < 0 ||
		(r = gnutls_x509_crt_set_key(certificate, identity->key)) < 0)
		return r;
	return gnutls_x509_crt_sign2(certificate, certificate, identity->key, GNUTLS_DIG_SHA512, 0);
}

static int make_credentials(struct lsp_identity *identity)
{
	int r = gnutls_certificate_allocate_credentials(&identity->credentials);
	if (r < 0)
		return r;
	return gnutls_certificate_set_x509_key(
		identity->credentials, &identity->certificate, 1, identity->key);
}

/* Takes the key over, also on failure. */
static int identity_from_key(
	gnutls_x509_privkey_t key, struct lsp_identity **ret_identity, struct lsp_error *err)
{
	_cleanup_identity_ struct lsp_identity *identity = calloc(1, sizeof *identity);
	if (!identity) {
		gnutls_x509_privkey_deinit(key);
		return lsp_error_no_memory(err, "net");
	}
	identity->references = 1;
	identity->key = key;
	int r = take_seed(identity);
	if (r == GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM || r == GNUTLS_E_INVALID_REQUEST)
		return lsp_error_set(err, "net", LSP_E_PROTOCOL, "it is not an Ed25519 key");
	if (r >= 0)
		r = make_certificate(identity);
	if (r >= 0)
		r = make_credentials(identity);
	if (r >= 0)
		r = hash_public_key(identity->certificate, &identity->peer_id);
	if (r < 0)
		return tls_error(err, r, "cannot make an identity from the key");
	*ret_identity = TAKE_PTR(identity);
	return 0;
}

static int generate_key(gnutls_x509_privkey_t *ret_key, struct lsp_error *err)
{
	gnutls_x509_privkey_t key;
	int r = gnutls_x509_privkey_init(&key);
	if (r < 0)
		return tls_error(err, r, "cannot make a key");
	r = gnutls_x509_privkey_generate(
		key, GNUTLS_PK_EDDSA_ED25519, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519), 0);
	if (r < 0) {
		gnutls_x509_privkey_deinit(key);
		return tls_error(err, r, "cannot make a key");
	}
	*ret_key = key;
	return 0;
}

int lsp_identity_new(struct lsp_identity **ret_identity, struct lsp_error *err)
{
	gnutls_x509_privkey_t key;
	int r = generate_key(&key, err);
	return r < 0 ? r : identity_from_key(key, ret_identity, err);
}

/* ---- On disk ---- */

static int save_key(int dir_fd, gnutls_x509_privkey_t key, struct lsp_error *err)
{
	gnutls_datum_t pem = {0};
	int r = gnutls_x509_privkey_export2_pkcs8(
		key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem);
	if (r < 0)
		return tls_error(err, r, "cannot write the key");
	r = lsp_fs_write_file_below(dir_fd, LSP_IDENTITY_FILE, pem.data, pem.size, 0600, err);
	gnutls_memset(pem.data, 0, pem.size);
	gnutls_free(pem.data);
	return r;
}

static int create(int dir_fd, struct lsp_identity **ret_identity, struct lsp_error *err)
{
	gnutls_x509_privkey_t key;
	_cleanup_identity_ struct lsp_identity *identity = NULL;
	int r = generate_key(&key, err);
	if (r == 0)
		r = identity_from_key(key, &identity, err);
	if (r == 0)
		r = save_key(dir_fd, identity->key, err);
	if (r == 0)
		*ret_identity = TAKE_PTR(identity);
	return r;
}

/* Nobody else may read it; a copy that was restored with a wide mode is made private again. */
static int make_private(int dir_fd, struct lsp_error *err)
{
	struct stat status;
	_cleanup_close_ int fd = -1;
	int r = lsp_fs_stat_below(dir_fd, LSP_IDENTITY_FILE, &status, err);
	if (r < 0 || (status.st_mode & 077) == 0)
		return r;
	r = lsp_fs_open_below(dir_fd, LSP_IDENTITY_FILE, O_RDONLY, 0, &fd, err);
	return r < 0 ? r : lsp_fs_chmod(fd, 0600, LSP_IDENTITY_FILE, err);
}

static int parse_key(const struct lsp_buffer *text, gnutls_x509_privkey_t *ret_key)
{
	gnutls_x509_privkey_t key;
	gnutls_datum_t datum = {text->data, (unsigned)text->size};
	int r = gnutls_x509_privkey_init(&key);
	if (r < 0)
		return r;
	r = gnutls_x509_privkey_import2(key, &datum, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN);
	if (r < 0)
		gnutls_x509_privkey_deinit(key);
	else
		*ret_key = key;
	return r;
}

static int load(const char *state_dir, int dir_fd, struct lsp_identity **ret_identity,
	struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer text = {0};
	int r = lsp_fs_read_file_below(dir_fd, LSP_IDENTITY_FILE, KEY_FILE_MAX, &text, err);
	if (r < 0)
		return r;
	gnutls_x509_privkey_t key;
	r = parse_key(&text, &key);
	if (text.size)
		gnutls_memset(text.data, 0, text.size);
	if (r == GNUTLS_E_MEMORY_ERROR)
		return lsp_error_no_memory(err, "net");
	if (r < 0)
		return lsp_error_set(err, "net", LSP_E_PROTOCOL,
			"%s/%s holds no private key (%s): restore it from a copy, or run "
			"`lanspread "
			"identity rotate` to become a new peer",
			state_dir, LSP_IDENTITY_FILE, gnutls_strerror(r));
	r = make_private(dir_fd, err);
	if (r < 0) {
		gnutls_x509_privkey_deinit(key);
		return r;
	}
	r = identity_from_key(key, ret_identity, err);
	return r < 0 ? lsp_error_prefix(err, r, "%s/%s", state_dir, LSP_IDENTITY_FILE) : 0;
}

int lsp_identity_open(
	const char *state_dir, struct lsp_identity **ret_identity, struct lsp_error *err)
{
	_cleanup_close_ int dir_fd = -1;
	int r = lsp_fs_open_dir(state_dir, &dir_fd, err);
	if (r < 0)
		return r;
	struct lsp_error failure = {0};
	r = load(state_dir, dir_fd, ret_identity, &failure);
	if (r == -LSP_E_NOT_FOUND)
		return create(dir_fd, ret_identity, err);
	if (r < 0 && err)
		*err = failure;
	return r;
}

int lsp_identity_rotate(
	const char *state_dir, struct lsp_identity **ret_identity, struct lsp_error *err)
{
	_cleanup_close_ int dir_fd = -1;
	int r = lsp_fs_open_dir(state_dir, &dir_fd, err);
	return r < 0 ? r : create(dir_fd, ret_identity, err);
}
