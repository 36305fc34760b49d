/* libsrtp as a judge: one line in, one line out, all values in hex.
 *   rtp-protect MKI KEY PACKET | rtp-unprotect ... | rtcp-protect ... | rtcp-unprotect ...
 * KEY is the master key (16 octets) and the master salt (12). One session per (direction, MKI, KEY)
 * lives as long as the process, so that roll-over counters go on.
 * Answers the packet, or "error N" with libsrtp's number. */
#include <srtp2/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct session { char id[256]; srtp_t srtp; srtp_master_key_t key; srtp_master_key_t *keys[1];
                 unsigned char octets[28], mki[8]; };
static struct session sessions[16384];
static int count;

static int unhex(const char *text, unsigned char *out) {
    int n = 0;
    for (unsigned v; sscanf(text + 2 * n, "%2x", &v) == 1; n++) out[n] = (unsigned char)v;
    return n;
}

static struct session *find(const char *verb, const char *mki, const char *key) {
    char id[256];
    snprintf(id, sizeof id, "%s %s %s", strstr(verb, "un") ? "in" : "out", mki, key);
    for (int i = 0; i < count; i++) if (!strcmp(sessions[i].id, id)) return &sessions[i];
    if (count == sizeof sessions / sizeof *sessions) exit(3);
    struct session *s = &sessions[count++];
    strcpy(s->id, id);
    unhex(key, s->octets);
    s->key.key = s->octets;
    s->key.mki_id = s->mki;
    s->key.mki_size = (unsigned)unhex(mki, s->mki);
    s->keys[0] = &s->key;
    srtp_policy_t policy;
    memset(&policy, 0, sizeof policy);
    srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
    srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
    policy.ssrc.type = strstr(verb, "un") ? ssrc_any_inbound : ssrc_any_outbound;
    policy.keys = s->keys;
    policy.num_master_keys = 1;
    policy.window_size = 128;
    return srtp_create(&s->srtp, &policy) == srtp_err_status_ok ? s : NULL;
}

int main(void) {
    static char line[8192], verb[32], mki[32], key[64], hex[8000];
    static unsigned char packet[4096];
    srtp_init();
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%31s %31s %63s %7999s", verb, mki, key, hex) != 4) return 2;
        int len = unhex(hex, packet);
        struct session *s = find(verb, mki, key);
        srtp_err_status_t status =
            !s ? srtp_err_status_fail
            : !strcmp(verb, "rtp-protect") ? srtp_protect_mki(s->srtp, packet, &len, 1, 0)
            : !strcmp(verb, "rtp-unprotect") ? srtp_unprotect_mki(s->srtp, packet, &len, 1)
            : !strcmp(verb, "rtcp-protect") ? srtp_protect_rtcp_mki(s->srtp, packet, &len, 1, 0)
            : srtp_unprotect_rtcp_mki(s->srtp, packet, &len, 1);
        if (status != srtp_err_status_ok) printf("error %d", status);
        else for (int i = 0; i < len; i++) printf("%02x", packet[i]);
        printf("\n");
        fflush(stdout);
    }
    return 0;
}
