//! XML bodies of TS 24.379, 24.481 and 24.484, bounded parsing, XML security
