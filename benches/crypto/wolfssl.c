/* The peer of `make bench`: ECCSI and SAKKE of the system's wolfSSL, timed in CPU time.
 *
 * Reads lines: `set NAME HEX` (what mcbox made), `run OP COUNT` (answers nanoseconds of CPU time per
 * operation, or `-` if this wolfSSL cannot), `check` (answers `ok` when it opens, verifies and issues
 * what mcbox did), `version`. */
#include <wolfssl/options.h>
#include <wolfssl/version.h>
#include <wolfssl/wolfcrypt/eccsi.h>
#include <wolfssl/wolfcrypt/sakke.h>
#include <wolfssl/wolfcrypt/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KSAK, Z, ID, SSK, PVT, RSK, SED, SSV, MESSAGE, SIGNATURE, INPUTS };
static const char *const names[INPUTS] = {"ksak", "z",   "id",  "ssk",     "pvt",
                                          "rsk",  "sed", "ssv", "message", "signature"};
static struct {
    byte data[1024];
    word32 size;
} in[INPUTS];

static WC_RNG rng;
static EccsiKey eccsi;
static SakkeKey sakke;
static mp_int ssk;
static ecc_point *pvt, *rsk;
static byte *rsk_table, *i_table;
static word32 rsk_table_size, i_table_size;

#define TRY(call)                                                                                  \
    do {                                                                                           \
        int result = (call);                                                                       \
        if (result != 0) {                                                                         \
            fprintf(stderr, "%s: %d\n", #call, result);                                            \
            return result;                                                                         \
        }                                                                                          \
    } while (0)

/* ---- one operation each; 0 is success ---------------------------------------------------------*/

static int hash_id(ecc_point *point) {
    byte hash[32], size = sizeof(hash);
    TRY(wc_HashEccsiId(&eccsi, WC_HASH_TYPE_SHA256, in[ID].data, in[ID].size, point, hash, &size));
    return wc_SetEccsiHash(&eccsi, hash, size);
}

static int verify_known(void) {
    int valid = 0;
    TRY(wc_VerifyEccsiHash(&eccsi, WC_HASH_TYPE_SHA256, in[MESSAGE].data, in[MESSAGE].size,
                           in[SIGNATURE].data, in[SIGNATURE].size, &valid));
    return valid ? 0 : -1;
}

static int verify_fresh(void) {
    TRY(wc_DecodeEccsiPvtFromSig(&eccsi, in[SIGNATURE].data, in[SIGNATURE].size, pvt));
    TRY(hash_id(pvt));
    return verify_known();
}

static int sign(void) {
    byte signature[200];
    word32 size = sizeof(signature);
    return wc_SignEccsiHash(&eccsi, &rng, WC_HASH_TYPE_SHA256, in[MESSAGE].data, in[MESSAGE].size,
                            signature, &size);
}

static int issue_pair(void) {
    mp_int key;
    int result;
    ecc_point *token = wc_ecc_new_point();
    TRY(mp_init(&key));
    result = wc_MakeEccsiPair(&eccsi, &rng, WC_HASH_TYPE_SHA256, in[ID].data, in[ID].size, &key, token);
    mp_free(&key);
    wc_ecc_del_point(token);
    return result;
}

static int encapsulate(void) {
    static word32 recipient;
    byte id[32], sed[300], ssv[16];
    word16 size = sizeof(sed);
    memcpy(id, in[ID].data, sizeof(id));
    memcpy(ssv, in[SSV].data, sizeof(ssv));
    recipient++;
    memcpy(id, &recipient, sizeof(recipient));
    TRY(wc_SetSakkeIdentity(&sakke, id, sizeof(id)));
    return wc_MakeSakkeEncapsulatedSSV(&sakke, WC_HASH_TYPE_SHA256, ssv, sizeof(ssv), sed, &size);
}

static int derive(void) {
    byte ssv[16];
    memcpy(ssv, in[SED].data + in[SED].size - sizeof(ssv), sizeof(ssv));
    TRY(wc_DeriveSakkeSSV(&sakke, WC_HASH_TYPE_SHA256, ssv, sizeof(ssv), in[SED].data,
                          (word16)(in[SED].size - sizeof(ssv))));
    return memcmp(ssv, in[SSV].data, sizeof(ssv)) == 0 ? 0 : -1;
}

static int point_i(void) {
    byte data[256];
    word32 size = sizeof(data);
    TRY(wc_MakeSakkePointI(&sakke, in[ID].data, (word16)in[ID].size));
    TRY(wc_GetSakkePointI(&sakke, data, &size));
    return wc_SetSakkePointI(&sakke, in[ID].data, (word16)in[ID].size, data, size);
}

/* What wolfSSL can keep of a long-lived key: the tables of the RSK and of the point I. */
static int keep(void) {
    TRY(point_i());
    TRY(wc_SetSakkeIdentity(&sakke, in[ID].data, (word16)in[ID].size));
    if (i_table_size != 0) TRY(wc_SetSakkePointITable(&sakke, i_table, i_table_size));
    return wc_SetSakkeRsk(&sakke, rsk, rsk_table_size ? rsk_table : NULL, rsk_table_size);
}

static int decapsulate_first(void) {
    TRY(wc_ClearSakkePointITable(&sakke));
    TRY(wc_MakeSakkePointI(&sakke, in[ID].data, (word16)in[ID].size));
    TRY(wc_SetSakkeIdentity(&sakke, in[ID].data, (word16)in[ID].size));
    TRY(wc_SetSakkeRsk(&sakke, rsk, NULL, 0));
    return derive();
}

static int issue_rsk(void) {
    ecc_point *point = wc_ecc_new_point();
    int result = wc_MakeSakkeRsk(&sakke, in[ID].data, (word16)in[ID].size, point);
    wc_ecc_del_point(point);
    return result;
}

static int validate_rsk(void) {
    int valid = 0;
    TRY(wc_ValidateSakkeRsk(&sakke, in[ID].data, (word16)in[ID].size, rsk, &valid));
    return valid ? 0 : -1;
}

static int tabulate_rsk(void) {
    if (rsk_table_size == 0) return -1;
    return wc_GenerateSakkeRskTable(&sakke, rsk, rsk_table, &rsk_table_size);
}

static int tabulate_i(void) {
    if (i_table_size == 0) return -1;
    return wc_GenerateSakkePointITable(&sakke, i_table, &i_table_size);
}

/* The cryptography of reading an I_MESSAGE; wolfSSL has no parser of them. */
static int read_message(void) {
    TRY(verify_fresh());
    return derive();
}

static const struct {
    const char *name;
    int (*prepare)(void);
    int (*once)(void);
} operations[] = {
    {"sakke_decapsulate", keep, derive},
    {"sakke_decapsulate_first", NULL, decapsulate_first},
    {"sakke_encapsulate", NULL, encapsulate},
    {"sakke_issue_rsk", NULL, issue_rsk},
    {"sakke_validate_rsk", NULL, validate_rsk},
    {"sakke_rsk_tables", NULL, tabulate_rsk},
    {"sakke_kms_tables", point_i, tabulate_i},
    {"eccsi_verify", NULL, verify_fresh},
    {"eccsi_verify_known", verify_fresh, verify_known},
    {"eccsi_sign", verify_fresh, sign},
    {"eccsi_issue", NULL, issue_pair},
    {"mikey_read", keep, read_message},
};

/* ---- commands --------------------------------------------------------------------------------*/

static double cpu(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

static void run(const char *name, long count) {
    size_t i;
    for (i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
        double start;
        long n;
        if (strcmp(operations[i].name, name) != 0) continue;
        if (operations[i].prepare && operations[i].prepare() != 0) break;
        start = cpu();
        for (n = 0; n < count; n++)
            if (operations[i].once() != 0) break;
        if (n < count) break;
        printf("%.1f\n", (cpu() - start) / count);
        return;
    }
    printf("-\n");
}

/* Keys are imported as private and public part together, so the public part is computed first. */
static int set_up(void) {
    byte key[3 * 128];
    ecc_point *public_point = wc_ecc_new_point();
    word32 size;
    TRY(wc_InitRng(&rng));
    TRY(mp_init(&ssk));
    pvt = wc_ecc_new_point();
    rsk = wc_ecc_new_point();
    TRY(wc_InitEccsiKey(&eccsi, NULL, INVALID_DEVID));
    TRY(wc_ImportEccsiPrivateKey(&eccsi, in[KSAK].data, in[KSAK].size));
    TRY(wc_ecc_make_pub(&eccsi.ecc, public_point));
    memcpy(key, in[KSAK].data, 32);
    TRY(mp_to_unsigned_bin_len(public_point->x, key + 32, 32));
    TRY(mp_to_unsigned_bin_len(public_point->y, key + 64, 32));
    TRY(wc_ImportEccsiKey(&eccsi, key, 96));
    TRY(wc_DecodeEccsiPvt(&eccsi, in[PVT].data + 1, in[PVT].size - 1, pvt));
    TRY(wc_DecodeEccsiSsk(&eccsi, in[SSK].data, in[SSK].size, &ssk));
    TRY(hash_id(pvt));
    TRY(wc_SetEccsiPair(&eccsi, &ssk, pvt));

    TRY(wc_InitSakkeKey(&sakke, NULL, INVALID_DEVID));
    TRY(wc_ImportSakkePrivateKey(&sakke, in[Z].data, in[Z].size));
    TRY(wc_MakeSakkePublicKey(&sakke, public_point));
    memcpy(key, in[Z].data, 128);
    TRY(mp_to_unsigned_bin_len(public_point->x, key + 128, 128));
    TRY(mp_to_unsigned_bin_len(public_point->y, key + 256, 128));
    TRY(wc_ImportSakkeKey(&sakke, key, sizeof(key)));
    TRY(wc_DecodeSakkeRsk(&sakke, in[RSK].data + 1, in[RSK].size - 1, rsk));

    size = 0;
    wc_GenerateSakkeRskTable(&sakke, rsk, NULL, &size);
    rsk_table_size = size;
    if (size) rsk_table = malloc(size);
    if (size) TRY(wc_GenerateSakkeRskTable(&sakke, rsk, rsk_table, &rsk_table_size));
    TRY(point_i());
    size = 0;
    wc_GenerateSakkePointITable(&sakke, NULL, &size);
    i_table_size = size;
    if (size) i_table = malloc(size);
    if (size) TRY(wc_GenerateSakkePointITable(&sakke, i_table, &i_table_size));
    wc_ecc_del_point(public_point);
    return 0;
}

static int check(void) {
    int valid = 0;
    TRY(wc_ValidateEccsiPair(&eccsi, WC_HASH_TYPE_SHA256, in[ID].data, in[ID].size, &ssk, pvt, &valid));
    if (!valid) return -1;
    TRY(verify_fresh());
    TRY(validate_rsk());
    TRY(decapsulate_first());
    TRY(keep());
    return derive();
}

static void set(const char *name, const char *hex) {
    int i;
    for (i = 0; i < INPUTS; i++) {
        if (strcmp(names[i], name) != 0) continue;
        for (in[i].size = 0; hex[0] && hex[1] && in[i].size < sizeof(in[i].data); hex += 2) {
            unsigned octet;
            if (sscanf(hex, "%2x", &octet) != 1) break;
            in[i].data[in[i].size++] = (byte)octet;
        }
    }
}

int main(void) {
    static char line[4096], name[64], rest[4000];
    while (fgets(line, sizeof(line), stdin)) {
        long count;
        if (sscanf(line, "set %63s %3999s", name, rest) == 2)
            set(name, rest);
        else if (sscanf(line, "run %63s %ld", name, &count) == 2)
            run(name, count);
        else if (strncmp(line, "check", 5) == 0)
            printf("%s\n", set_up() == 0 && check() == 0 ? "ok" : "failed");
        else if (strncmp(line, "version", 7) == 0)
            printf("wolfSSL %s\n", LIBWOLFSSL_VERSION_STRING);
        fflush(stdout);
    }
    return 0;
}
