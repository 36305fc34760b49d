//! A Land Mobile Radio network: radios, talkgroups, push-to-talk
