//! End-to-end scenarios and checks of the repository's shape
