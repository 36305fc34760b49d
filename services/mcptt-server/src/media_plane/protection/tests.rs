use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use mc_ids::{CskId, Key128 as _};

use super::*;

const SPK_ID: KeyId = KeyId(0x3a7e_0001);

#[derive(Default)]
struct Kept {
    ssrcs: Mutex<Vec<u32>>,
    broken: AtomicBool,
}

impl SsrcStore for Kept {
    fn keep(&self, _: KeyId, ssrc: u32) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            if self.broken.load(Ordering::Relaxed) {
                return Err("disk full".to_owned());
            }
            self.ssrcs.lock().unwrap().push(ssrc);
            Ok(())
        })
    }
}

fn spk(ledger: SsrcLedger, store: Arc<Kept>) -> Arc<FloorContext> {
    let master = MasterKey::new([1; 16], [2; 12]);
    let srtcp = SrtcpContext::new(Mki::Key(SPK_ID.0), master, 64);
    FloorContext::lasting(SPK_ID, srtcp, SsrcHalf::Lower, ledger, store)
}

fn csk(octet: u8) -> FloorKey {
    FloorKey::Csk(ClientCsk {
        id: CskId::try_from(KeyId(0x2000_0000 + u32::from(octet))).unwrap(),
        key: Csk::from_octets([octet; 16]),
        rand: vec![octet; 16],
    })
}

fn user(name: &str) -> McServiceId {
    McServiceId::new(format!("sip:{name}@mc.example")).unwrap()
}

/// A Floor Idle.
fn message(ssrc: u32) -> Vec<u8> {
    let mut message = vec![0x85, 204, 0, 2];
    message.extend(ssrc.to_be_bytes());
    message.extend(b"MCPT");
    message
}

fn sealed(protection: &mut FloorProtection) -> Vec<u8> {
    let mut wire = [0; 64];
    let plain = message(protection.ssrc());
    let length = protection.seal(&plain, &mut wire).unwrap();
    wire[..length].to_vec()
}

#[tokio::test]
async fn legs_under_an_spk_use_kept_ssrcs_of_their_half() {
    let kept = Arc::new(Kept::default());
    let key = FloorKey::Spk(spk(SsrcLedger::default(), kept.clone()));
    let contexts = CskContexts::default();
    // All users of the partner share the key.
    let (first, second) = (contexts.of(&user("a"), &key), contexts.of(&user("b"), &key));
    assert!(Arc::ptr_eq(&first, &second));
    let legs = [
        FloorProtection::new(first).await.unwrap(),
        FloorProtection::new(second.clone()).await.unwrap(),
    ];
    let ssrcs = legs.each_ref().map(FloorProtection::ssrc);
    assert_eq!(*kept.ssrcs.lock().unwrap(), ssrcs);
    assert!(ssrcs[0] != ssrcs[1] && ssrcs.iter().all(|ssrc| ssrc >> 31 == 0));
    kept.broken.store(true, Ordering::Relaxed);
    assert!(FloorProtection::new(second).await.is_err());
}

#[tokio::test]
async fn a_packet_of_one_leg_is_refused_on_another_and_by_another_key() {
    let kept = Arc::new(Kept::default());
    let near = spk(SsrcLedger::default(), kept.clone());
    let far = spk(SsrcLedger::default(), kept);
    let mut first = FloorProtection::new(near.clone()).await.unwrap();
    let mut second = FloorProtection::new(near).await.unwrap();
    let mut peer = FloorProtection::new(far).await.unwrap();
    assert_eq!(first.open(&mut sealed(&mut peer)), Ok(12));
    assert_eq!(second.open(&mut sealed(&mut peer)), Err(Refusal::Replayed));
    let contexts = CskContexts::default();
    let client = contexts.of(&user("a"), &csk(1));
    let mut client = FloorProtection::new(client).await.unwrap();
    assert_eq!(
        client.open(&mut sealed(&mut peer)),
        Err(Refusal::UnknownKey)
    );
}

#[tokio::test]
async fn the_old_csk_counts_until_the_new_one_is_used() {
    let (ours, theirs) = (CskContexts::default(), CskContexts::default());
    let of = |contexts: &CskContexts, octet| contexts.of(&user("a"), &csk(octet));
    let mut leg = FloorProtection::new(of(&ours, 1)).await.unwrap();
    let mut old = FloorProtection::new(of(&theirs, 1)).await.unwrap();
    let mut new = FloorProtection::new(of(&theirs, 2)).await.unwrap();
    leg.rekey(of(&ours, 2)).unwrap();
    assert_eq!(leg.key_id(), 0x2000_0002);
    assert_eq!(leg.open(&mut sealed(&mut old)), Ok(12));
    assert_eq!(leg.open(&mut sealed(&mut new)), Ok(12));
    assert_eq!(leg.open(&mut sealed(&mut old)), Err(Refusal::UnknownKey));
}
