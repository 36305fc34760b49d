//! Identities, key identifiers, keys and the TS 33.180 Annex F derivations
