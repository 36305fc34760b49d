/* ECCSI and SAKKE of the system's wolfSSL, for tests/wolfssl.rs.
 *
 * Reads lines `OP HEX HEX ...` and answers each with `ok HEX HEX ...`, or `refused CODE` where the
 * library returned an error or `invalid`. Every line stands alone: keys are set up anew. Points are
 * `04 || x || y`. */
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/eccsi.h>
#include <wolfssl/wolfcrypt/sakke.h>
#include <wolfssl/wolfcrypt/random.h>
#include <stdio.h>
#include <string.h>

enum { FIELDS = 5, OCTETS = 1024, INVALID = -10000 };
static struct {
    byte data[OCTETS];
    word32 size;
} in[FIELDS], out[2];

static WC_RNG rng;
static EccsiKey eccsi;
static SakkeKey sakke;

#define TRY(call)                                                                                  \
    do {                                                                                           \
        int result = (call);                                                                       \
        if (result != 0) return result;                                                            \
    } while (0)
#define TEXT(i) in[i].data, in[i].size
/* The library's raw points have no 04 before them. */
#define RAW(i) in[i].data + 1, in[i].size - 1

static int put_point(int at, ecc_point *point, int octets) {
    out[at].data[0] = 4;
    TRY(mp_to_unsigned_bin_len(point->x, out[at].data + 1, octets));
    TRY(mp_to_unsigned_bin_len(point->y, out[at].data + 1 + octets, octets));
    out[at].size = 1 + 2 * octets;
    return 0;
}

/* ---- ECCSI ------------------------------------------------------------------------------------*/

/* Field 0 is the KSAK; the public part is computed and imported with it. */
static int ksak(void) {
    byte key[96];
    ecc_point *kpak = wc_ecc_new_point();
    TRY(wc_ImportEccsiPrivateKey(&eccsi, TEXT(0)));
    TRY(wc_ecc_make_pub(&eccsi.ecc, kpak));
    TRY(put_point(0, kpak, 32));
    wc_ecc_del_point(kpak);
    memcpy(key, in[0].data, 32);
    memcpy(key + 32, out[0].data + 1, 64);
    return wc_ImportEccsiKey(&eccsi, key, sizeof(key));
}

static int hash_id(ecc_point *pvt) {
    byte hash[32], size = sizeof(hash);
    TRY(wc_HashEccsiId(&eccsi, WC_HASH_TYPE_SHA256, TEXT(1), pvt, hash, &size));
    return wc_SetEccsiHash(&eccsi, hash, size);
}

/* KSAK, id -> SSK, PVT */
static int eccsi_issue(void) {
    mp_int ssk;
    ecc_point *pvt = wc_ecc_new_point();
    TRY(mp_init(&ssk));
    TRY(ksak());
    TRY(wc_MakeEccsiPair(&eccsi, &rng, WC_HASH_TYPE_SHA256, TEXT(1), &ssk, pvt));
    TRY(mp_to_unsigned_bin_len(&ssk, out[0].data, 32));
    out[0].size = 32;
    TRY(put_point(1, pvt, 32));
    wc_ecc_del_point(pvt);
    return 0;
}

/* KPAK, id, SSK, PVT, checked and set as the key to sign with. */
static int signing_key(mp_int *ssk, ecc_point *pvt) {
    int valid = 0;
    TRY(mp_init(ssk));
    TRY(wc_ImportEccsiPublicKey(&eccsi, RAW(0), 0));
    TRY(wc_DecodeEccsiSsk(&eccsi, TEXT(2), ssk));
    TRY(wc_DecodeEccsiPvt(&eccsi, RAW(3), pvt));
    TRY(wc_ValidateEccsiPair(&eccsi, WC_HASH_TYPE_SHA256, TEXT(1), ssk, pvt, &valid));
    if (!valid) return INVALID;
    TRY(hash_id(pvt));
    return wc_SetEccsiPair(&eccsi, ssk, pvt);
}

/* KPAK, id, SSK, PVT -> */
static int eccsi_validate(void) {
    mp_int ssk;
    ecc_point *pvt = wc_ecc_new_point();
    int result = signing_key(&ssk, pvt);
    wc_ecc_del_point(pvt);
    return result;
}

/* KPAK, id, SSK, PVT, message -> signature */
static int eccsi_sign(void) {
    mp_int ssk;
    ecc_point *pvt = wc_ecc_new_point();
    TRY(signing_key(&ssk, pvt));
    out[0].size = OCTETS;
    TRY(wc_SignEccsiHash(&eccsi, &rng, WC_HASH_TYPE_SHA256, TEXT(4), out[0].data, &out[0].size));
    wc_ecc_del_point(pvt);
    return 0;
}

/* KPAK, id, message, signature -> */
static int eccsi_verify(void) {
    int valid = 0;
    ecc_point *pvt = wc_ecc_new_point();
    TRY(wc_ImportEccsiPublicKey(&eccsi, RAW(0), 0));
    TRY(wc_DecodeEccsiPvtFromSig(&eccsi, TEXT(3), pvt));
    TRY(hash_id(pvt));
    TRY(wc_VerifyEccsiHash(&eccsi, WC_HASH_TYPE_SHA256, TEXT(2), TEXT(3), &valid));
    wc_ecc_del_point(pvt);
    return valid ? 0 : INVALID;
}

/* ---- SAKKE ------------------------------------------------------------------------------------*/

/* Field 0 is z; the public part is computed and imported with it. */
static int master_secret(void) {
    byte key[3 * 128];
    ecc_point *public = wc_ecc_new_point();
    TRY(wc_ImportSakkePrivateKey(&sakke, TEXT(0)));
    TRY(wc_MakeSakkePublicKey(&sakke, public));
    TRY(put_point(0, public, 128));
    wc_ecc_del_point(public);
    memcpy(key, in[0].data, 128);
    memcpy(key + 128, out[0].data + 1, 256);
    return wc_ImportSakkeKey(&sakke, key, sizeof(key));
}

/* z, id -> RSK */
static int sakke_issue(void) {
    ecc_point *rsk = wc_ecc_new_point();
    TRY(master_secret());
    TRY(wc_MakeSakkeRsk(&sakke, in[1].data, (word16)in[1].size, rsk));
    TRY(put_point(0, rsk, 128));
    wc_ecc_del_point(rsk);
    return 0;
}

/* Public key, id, RSK */
static int receiver(ecc_point *rsk) {
    TRY(wc_ImportSakkePublicKey(&sakke, RAW(0), 0));
    return wc_DecodeSakkeRsk(&sakke, RAW(2), rsk);
}

/* Public key, id, RSK -> */
static int sakke_validate(void) {
    int valid = 0;
    ecc_point *rsk = wc_ecc_new_point();
    TRY(receiver(rsk));
    TRY(wc_ValidateSakkeRsk(&sakke, in[1].data, (word16)in[1].size, rsk, &valid));
    wc_ecc_del_point(rsk);
    return valid ? 0 : INVALID;
}

/* Public key, id, SSV -> encapsulated data */
static int sakke_encapsulate(void) {
    word16 size = OCTETS;
    TRY(wc_ImportSakkePublicKey(&sakke, RAW(0), 0));
    TRY(wc_SetSakkeIdentity(&sakke, in[1].data, (word16)in[1].size));
    /* The library hides the SSV in place. */
    TRY(wc_MakeSakkeEncapsulatedSSV(&sakke, WC_HASH_TYPE_SHA256, in[2].data, (word16)in[2].size,
                                    out[0].data, &size));
    memcpy(out[0].data + size, in[2].data, in[2].size);
    out[0].size = size + in[2].size;
    return 0;
}

/* Public key, id, RSK, encapsulated data -> SSV */
static int sakke_decapsulate(void) {
    word16 size = (word16)(in[3].size - 16);
    ecc_point *rsk = wc_ecc_new_point();
    TRY(receiver(rsk));
    TRY(wc_SetSakkeIdentity(&sakke, in[1].data, (word16)in[1].size));
    TRY(wc_MakeSakkePointI(&sakke, in[1].data, (word16)in[1].size));
    TRY(wc_SetSakkeRsk(&sakke, rsk, NULL, 0));
    out[0].size = 16;
    memcpy(out[0].data, in[3].data + size, 16);
    TRY(wc_DeriveSakkeSSV(&sakke, WC_HASH_TYPE_SHA256, out[0].data, 16, in[3].data, size));
    wc_ecc_del_point(rsk);
    return 0;
}

/* ---- lines ------------------------------------------------------------------------------------*/

static const struct {
    const char *name;
    int (*run)(void);
} operations[] = {
    {"eccsi_public", ksak},
    {"eccsi_issue", eccsi_issue},
    {"eccsi_validate", eccsi_validate},
    {"eccsi_sign", eccsi_sign},
    {"eccsi_verify", eccsi_verify},
    {"sakke_public", master_secret},
    {"sakke_issue", sakke_issue},
    {"sakke_validate", sakke_validate},
    {"sakke_encapsulate", sakke_encapsulate},
    {"sakke_decapsulate", sakke_decapsulate},
};

static int run(const char *name) {
    size_t i;
    int result = INVALID;
    TRY(wc_InitEccsiKey(&eccsi, NULL, INVALID_DEVID));
    TRY(wc_InitSakkeKey(&sakke, NULL, INVALID_DEVID));
    for (i = 0; i < sizeof(operations) / sizeof(*operations); i++)
        if (strcmp(operations[i].name, name) == 0) result = operations[i].run();
    wc_FreeEccsiKey(&eccsi);
    wc_FreeSakkeKey(&sakke);
    return result;
}

static void read_field(int at, const char *hex) {
    unsigned octet;
    for (in[at].size = 0; in[at].size < OCTETS && sscanf(hex, "%2x", &octet) == 1; hex += 2)
        in[at].data[in[at].size++] = (byte)octet;
}

int main(void) {
    static char line[FIELDS * 2 * OCTETS];
    if (wc_InitRng(&rng) != 0) return 1;
    while (fgets(line, sizeof(line), stdin)) {
        char *name = strtok(line, " \n"), *field;
        int i, result;
        word32 n;
        for (i = 0; i < FIELDS && (field = strtok(NULL, " \n")); i++) read_field(i, field);
        out[0].size = out[1].size = 0;
        result = name ? run(name) : INVALID;
        if (result != 0) {
            printf("refused %d\n", result);
        } else {
            printf("ok");
            for (i = 0; i < 2 && out[i].size; i++)
                for (n = 0; n < out[i].size; n++) printf(n ? "%02x" : " %02x", out[i].data[n]);
            printf("\n");
        }
        fflush(stdout);
    }
    return 0;
}
