use mc_sip::sdp::FloorParameters;

use super::*;

const GROUP: &str = "sip:fire@mc.example";

fn document(protect_media: Option<&str>) -> GroupDocument {
    let mut document = GroupDocument::new(GROUP, "Fire").unwrap();
    document.set("protect-media", protect_media).unwrap();
    document
}

/// An offer with this profile, and perhaps a key.
fn offer(profile: &str, key: Option<&str>) -> McpttMedia {
    let audio = "192.0.2.1:4000".parse().unwrap();
    McpttMedia {
        protocol: profile.to_owned(),
        key_mgmt: key.map(str::to_owned),
        ..McpttMedia::new(audio, None, FloorParameters::default())
    }
}

#[test]
fn nobody_comes_to_a_group_without_protection_with_srtp() {
    let offers = [
        (offer("RTP/AVP", None), true),
        (offer("RTP/SAVP", None), false),
        (offer("rtp/savpf", None), false),
        (offer("RTP/AVP", Some("AQAF")), false),
    ];
    for (offer, fits_in_clear) in offers {
        let profile = &offer.protocol;
        let clear = document(Some("false"));
        assert_eq!(fits(clear.settings(), &offer), fits_in_clear, "{profile}");
        // Protected unless it is written off.
        for protected in [document(Some("true")), document(None)] {
            assert!(fits(protected.settings(), &offer), "{profile}");
        }
    }
}
