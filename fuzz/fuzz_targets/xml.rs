//! XML bodies of MCPTT (TS 24.379 Annex F), group documents (OMA, TS 24.481) and profiles.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mc_xml::affiliation::AffiliationPresence;
use mc_xml::group::GroupDocument;
use mc_xml::mcptt_info::McpttInfo;
use mc_xml::resource_lists::ResourceLists;

fuzz_target!(|octets: &[u8]| {
    if let Ok(info) = McpttInfo::parse(octets) {
        let again = McpttInfo::parse(info.to_xml().as_bytes());
        assert_eq!(again.ok(), Some(info));
    }
    let _ = AffiliationPresence::parse(octets);
    let _ = GroupDocument::parse(octets);
    let _ = ResourceLists::parse(octets);
});
