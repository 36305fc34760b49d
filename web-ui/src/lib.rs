//! The browser console
