use super::*;

/// The lab's configuration with its placeholders filled in.
fn sample() -> String {
    filled(include_str!("../../../deploy/lab/segy.toml"))
}

fn filled(template: &str) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap();
        text.push_str(before);
        text.push_str(match name {
            "lab_keys" => "false",
            ip if ip.ends_with("-ip") => "127.0.0.1",
            spk if spk.starts_with("spk-") => "000102030405060708090a0b0c0d0e0f",
            "data" | "logs" | "ca" | "cert" | "key" | "password" => "/tmp/lab",
            _ => "127.0.0.1:1",
        });
        rest = after;
    }
    text.push_str(rest);
    text
}

fn read(text: &str) -> Result<Config, toml::de::Error> {
    toml::from_str(text)
}

fn refused(change: impl FnOnce(&mut Config)) -> String {
    let mut config = read(&sample()).unwrap();
    change(&mut config);
    config.check().unwrap_err().to_string()
}

#[test]
fn the_labs_configuration_is_one() {
    let config = read(&sample()).unwrap();
    config.check().unwrap();
    let own = McServiceId::new("sip:segy@mc.example").unwrap();
    let client = &config.clients()[&own];
    assert_eq!(client.groups[0].as_str(), "sip:fireground-1@mc.example");
    let aliases = ["sip:unit-1001@mc.example", "sip:unit-1002@mc.example"];
    assert_eq!(client.functional_aliases, aliases);
    let represented = config.user_map().represent(Some("1001")).unwrap();
    assert_eq!(represented.shown(), "sip:unit-1001@mc.example");
}

#[test]
fn what_is_overlooked_of_peers_messages_holds_for_every_client() {
    let many = filled(include_str!("../../../deploy/lab/segy-7.2.toml"));
    for (text, lenient) in [("", false), ("[mc.mikey]\nlenient_sign = true\n", true)] {
        let config = read(&format!("{many}\n{text}")).unwrap();
        let clients = config.clients();
        assert!(clients.len() > 1);
        assert!(clients.values().all(|c| c.mikey.lenient_sign == lenient));
    }
    assert!(read(&format!("{many}\n[mc.mikey]\nlenient = true\n")).is_err());
}

#[test]
fn a_gateway_that_is_many_has_a_client_for_each_user() {
    let many = || read(&filled(include_str!("../../../deploy/lab/segy-7.2.toml"))).unwrap();
    let config = many();
    config.check().unwrap();
    let clients = config.clients();
    let nodes: Vec<_> = clients.values().map(|c| c.node.as_str()).collect();
    assert_eq!(nodes, ["segy-7.2-2001", "segy-7.2-2002"]);
    let first = McServiceId::new("sip:unit-2001@mc.example").unwrap();
    let client = &clients[&first];
    assert_eq!(client.login.username, "unit-2001");
    assert_eq!(
        client.sip.as_ref().unwrap().impu,
        "sip:unit-2001@ims.mc.example"
    );
    assert!(client.state_dir.ends_with("lab-2001"));
    assert!(client.functional_aliases.is_empty());
    let represented = config.user_map().represent(Some("2001")).unwrap();
    assert_eq!(represented.identity, first);
    assert_eq!(represented.functional_alias, None);
    assert_eq!(config.user_map().represent(Some("1001")), None);

    let refused = |change: fn(&mut Config)| {
        let mut config = many();
        change(&mut config);
        config.check().unwrap_err().to_string()
    };
    let whole = refused(|c| c.mcptt_id = c.users[0].mcptt_id.clone());
    assert!(whole.starts_with("mcptt_id"), "{whole}");
    assert!(refused(|c| c.users[0].mcptt_id = None).starts_with("users"));
    let alias = refused(|c| c.users[0].functional_alias = Some("sip:a@b".to_owned()));
    assert!(alias.starts_with("users"), "{alias}");
    let twice = refused(|c| c.users[0].mcptt_id = c.users[1].mcptt_id.clone());
    assert!(twice.starts_with("users.mcptt_id"), "{twice}");
    let others = refused(|c| c.unmapped_alias = Some("sip:a@b".to_owned()));
    assert!(others.starts_with("unmapped_alias"), "{others}");
}

/// The lab's configuration of an approach that is attached by an interconnection.
pub(crate) fn interconnected(approach: &str) -> Config {
    let template = match approach {
        "7.3" => include_str!("../../../deploy/lab/segy-7.3.toml"),
        "7.4" => include_str!("../../../deploy/lab/segy-7.4.toml"),
        _ => include_str!("../../../deploy/lab/segy-7.5.toml"),
    };
    read(&filled(template)).unwrap()
}

#[test]
fn a_gateway_is_attached_as_its_approach_says() {
    for (approach, clients) in [("7.3", 2), ("7.4", 2), ("7.5", 1)] {
        let config = interconnected(approach);
        config.check().unwrap();
        assert_eq!(config.approach.to_string(), approach);
        let all = config.clients();
        assert_eq!(all.len(), clients);
        assert!(all.values().all(|client| client.sip.is_none()));
        let interconnection = config.interconnection.unwrap();
        assert!(interconnection.require_protection && interconnection.require_signature);
        // Migrated users bring tokens of another domain.
        let exchanged = interconnection.authorisation.unwrap().exchange.is_some();
        assert_eq!(exchanged, approach == "7.3");
    }
    let changed = |approach, change: fn(&mut Config)| {
        let mut config = interconnected(approach);
        change(&mut config);
        config.check().unwrap_err().to_string()
    };
    let none = changed("7.3", |c| c.interconnection = None);
    assert!(none.starts_with("interconnection"), "{none}");
    let client = changed("7.4", |c| c.approach = Approach::ClientPerUser);
    assert!(client.starts_with("mc.sip"), "{client}");
    let both = refused(|c| c.interconnection = interconnected("7.5").interconnection);
    assert!(both.starts_with("interconnection"), "{both}");
    let single = changed("7.4", |c| c.approach = Approach::ExternalDomainSingleUser);
    assert!(single.starts_with("mcptt_id"), "{single}");
    let unknown = sample().replace("approach = \"7.1\"", "approach = \"7.6\"");
    assert!(read(&unknown).unwrap_err().to_string().contains("7.6"));
}

#[test]
fn users_are_made_only_where_the_gateway_has_a_kms() {
    let config = interconnected("7.4");
    let provision = config.provision.clone().unwrap();
    assert_eq!((provision.most, provision.per_minute), (50, 30));
    let new = config.user_map().represent(Some("4003")).unwrap();
    assert_eq!(new.shown(), "sip:unit-4003@segy.example");
    assert_eq!(config.user_map().represent(Some("4901")), None);
    assert_eq!(config.client_of("4003").login.username, "unit-4003");

    let with = |mut config: Config, change: fn(&mut ProvisionConfig)| {
        let mut provision = provision.clone();
        change(&mut provision);
        config.provision = Some(provision);
        config.check().unwrap_err().to_string()
    };
    for other in [
        interconnected("7.3"),
        interconnected("7.5"),
        read(&sample()).unwrap(),
    ] {
        let refused = with(other, |_| ());
        assert!(refused.starts_with("provision:"), "{refused}");
    }
    let none = with(config.clone(), |p| p.most = 0);
    assert!(none.starts_with("provision:"), "{none}");
    // Unit 4002 under the name that unit 4001 would be made with.
    let mut twisted = config;
    twisted.users[1].mcptt_id = twisted.users[0].mcptt_id.take();
    twisted.users.remove(0);
    let refused = with(twisted, |_| ());
    assert!(refused.starts_with("provision.mcptt_id"), "{refused}");
}

#[test]
fn mistakes_are_named() {
    let unknown = sample().replace("[display]", "[displays]");
    assert!(read(&unknown).unwrap_err().to_string().contains("displays"));
    let unknown = sample().replace("protocol = \"analogue\"", "protocol = \"tetra\"");
    assert!(read(&unknown).unwrap_err().to_string().contains("tetra"));
    let unknown = sample().replace("[external]", "[external]\nspeed = 1");
    assert!(read(&unknown).unwrap_err().to_string().contains("speed"));

    assert!(refused(|c| c.talkgroups.clear()).starts_with("talkgroups"));
    let twice = refused(|c| {
        let mut again = c.talkgroups[0].clone();
        again.talkgroup = "2".to_owned();
        c.talkgroups.push(again);
    });
    assert!(twice.starts_with("talkgroups.group"), "{twice}");
    assert!(refused(|c| c.users.push(c.users[0].clone())).starts_with("users.unit"));
    assert!(
        refused(|c| c.mc.groups = vec![c.talkgroups[0].group.clone()]).starts_with("mc.groups")
    );
    assert!(refused(|c| c.limits.grant_wait_ms = 0).starts_with("limits"));
    let name = refused(|c| c.talkgroups[0].talkgroup = "one".to_owned());
    assert_eq!(name, "talkgroups.talkgroup: \"one\" is no channel number");
}
