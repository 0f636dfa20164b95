/* sink.c over TLS, by OpenSSL: tls_sink CERTIFICATE KEY [EXTENSION ...] */
#define WITH_TLS
#include "sink.c"
