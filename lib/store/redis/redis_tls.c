/* TLS for redis_wire.c. The files are read for each connection, so that renewed certificates need
 * no restart. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

#include "base/secret_file.h"
#include "store/redis/redis_wire.h"

static void free_context(SSL_CTX **context)
{
    SSL_CTX_free(*context);
}

/* "store.NAME: PATH: …", with what OpenSSL says. Returns 0. */
static int refuse_file(const char *name, const char *path, const char *why,
                       char why_r[REDIS_WHY_SIZE])
{
    unsigned long error = ERR_peek_error(); /* the first one: what follows says less */
    if (why == NULL)
        why = ERR_SYSTEM_ERROR(error)     ? strerror(ERR_GET_REASON(error))
              : ERR_reason_error_string(error) != NULL ? ERR_reason_error_string(error)
                                                  : "cannot be used";
    snprintf(why_r, REDIS_WHY_SIZE, "store.%s: %.70s: %.100s", name, path, why);
    return 0;
}

static int use_authorities(SSL_CTX *context, const char *path, char why_r[REDIS_WHY_SIZE])
{
    if (path[0] == '\0')
        return SSL_CTX_set_default_verify_paths(context);
    return SSL_CTX_load_verify_locations(context, path, NULL) == 1
               ? 1
               : refuse_file("tls_ca_file", path, NULL, why_r);
}

static int use_key(SSL_CTX *context, const char *path, char why_r[REDIS_WHY_SIZE])
{
    static char no_passphrase[] = ""; /* else OpenSSL asks at the terminal */
    struct problem problem;
    int fd = secret_file_open(path, "chmod 600", &problem);
    if (fd < 0)
        return refuse_file("tls_key_file", path, problem.text, why_r);
    FILE *file = fdopen(fd, "r");
    if (file == NULL) {
        close(fd);
        return refuse_file("tls_key_file", path, strerror(errno), why_r);
    }
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, no_passphrase);
    fclose(file);
    int used = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1;
    EVP_PKEY_free(key);
    return used ? 1 : refuse_file("tls_key_file", path, NULL, why_r);
}

/* Our own certificate, for servers that ask for one. */
static int use_certificate(SSL_CTX *context, const struct redis_access *access,
                           char why_r[REDIS_WHY_SIZE])
{
    bool certificate = access->tls_cert_file[0] != '\0', key = access->tls_key_file[0] != '\0';
    if (!certificate && !key)
        return 1;
    if (!certificate || !key) {
        snprintf(why_r, REDIS_WHY_SIZE, "store.%s is not set: expected both or none of "
                 "tls_cert_file and tls_key_file", key ? "tls_cert_file" : "tls_key_file");
        return 0;
    }
    if (SSL_CTX_use_certificate_chain_file(context, access->tls_cert_file) != 1)
        return refuse_file("tls_cert_file", access->tls_cert_file, NULL, why_r);
    return use_key(context, access->tls_key_file, why_r);
}

/* The certificate has to be of that name, or of that address. */
static int expect_host(SSL *tls, const struct redis_place *place)
{
    char *host = place->host; /* a macro of OpenSSL casts it */
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host);
    return SSL_set1_host(tls, host) == 1 && SSL_set_tlsext_host_name(tls, host) == 1;
}

SSL *redis_tls_new(const struct redis_access *access, const struct redis_place *place, int fd,
                   char why_r[REDIS_WHY_SIZE])
{
    ERR_clear_error();
    freed_by(free_context) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    snprintf(why_r, REDIS_WHY_SIZE, "TLS cannot begin");
    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        !use_authorities(context, access->tls_ca_file, why_r) ||
        !use_certificate(context, access, why_r))
        return NULL;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    /* Replies say where they end, so nothing that is cut off is taken for whole. */
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* What is of TLS alone returns too, so that the time is looked at however much of it comes. */
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    SSL *tls = SSL_new(context);
    if (tls != NULL && SSL_set_fd(tls, fd) == 1 && expect_host(tls, place))
        return tls;
    SSL_free(tls);
    return NULL;
}

void redis_tls_explain(SSL *tls, char why_r[REDIS_WHY_SIZE])
{
    long verified = SSL_get_verify_result(tls);
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    if (verified != X509_V_OK)
        snprintf(why_r, REDIS_WHY_SIZE, "its certificate is not accepted: %s",
                 X509_verify_cert_error_string(verified));
    else
        snprintf(why_r, REDIS_WHY_SIZE, "TLS: %s", reason != NULL ? reason : "it failed");
    ERR_clear_error();
}
