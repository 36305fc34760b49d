//! The trace stream: protocol events, HEP3, JSON lines, pcapng and key log
