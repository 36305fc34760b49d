//! Deployment, fake peers and matchers for the end-to-end tests
