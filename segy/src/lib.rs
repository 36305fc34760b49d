//! The MC Security Gateway of TR 33.880 clause 7.8
