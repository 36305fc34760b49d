CREATE TABLE spk_ssrcs (
    spk_id TEXT NOT NULL,
    ssrc TEXT NOT NULL,
    PRIMARY KEY (spk_id, ssrc)
);
