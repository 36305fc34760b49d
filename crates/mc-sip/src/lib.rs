//! SIP messages, bodies, SDP, transactions and dialogs for MCPTT, without IO
