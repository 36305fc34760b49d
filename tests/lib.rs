//! End-to-end scenarios and checks of the repository's shape; everything is in the test targets.
