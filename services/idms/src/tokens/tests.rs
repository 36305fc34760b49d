use super::*;

fn policy() -> TokenPolicy {
    TokenPolicy {
        issuer: "https://idms.mc.example".into(),
        access_token_lifetime_s: 900,
        audiences: vec![
            ("3gpp:mc:ptt_service".into(), "sip:mcptt@mc.example".into()),
            (
                "3gpp:mc:ptt_key_management_service".into(),
                "kms.mc.example".into(),
            ),
        ],
    }
}

fn grant(scopes: &str) -> Grant {
    Grant {
        sub: "s-1".into(),
        client_id: "mcptt_client".into(),
        scopes: Scopes::parse(scopes),
        nonce: Some("n-1".into()),
        acr: "3gpp:acr:password".into(),
        auth_time: 1_453_498_100,
    }
}

fn services() -> ServiceIds {
    ServiceIds {
        mcptt_id: Some("sip:alice@mc.example".into()),
        mcvideo_id: None,
        mcdata_id: Some("sip:alice@mc.example".into()),
    }
}

#[test]
fn access_token_has_the_members_of_table_b_2_2() {
    let grant = grant("openid 3gpp:mc:ptt_service");
    let token = policy().access_token(&grant, &services(), 1_453_498_121, "j-1".into());
    assert_eq!(
        serde_json::to_value(token).unwrap(),
        serde_json::json!({
            "iss": "https://idms.mc.example", "sub": "s-1",
            "aud": ["sip:mcptt@mc.example", "https://idms.mc.example"],
            "exp": 1_453_499_021, "iat": 1_453_498_121, "jti": "j-1",
            "scope": "3gpp:mc:ptt_service openid", "client_id": "mcptt_client",
            "mcptt_id": "sip:alice@mc.example",
        })
    );
}

#[test]
fn id_token_has_the_members_of_table_b_2_1() {
    let token = policy().id_token(&grant("openid 3gpp:mc:data_service"), &services(), 10);
    assert_eq!(
        serde_json::to_value(token).unwrap(),
        serde_json::json!({
            "iss": "https://idms.mc.example", "sub": "s-1", "aud": "mcptt_client",
            "exp": 910, "iat": 10, "auth_time": 1_453_498_100, "acr": "3gpp:acr:password",
            "nonce": "n-1", "mcdata_id": "sip:alice@mc.example",
        })
    );
}

#[test]
fn a_narrowed_token_is_for_one_server_only() {
    let token = policy().access_token(
        &grant("3gpp:mc:ptt_key_management_service"),
        &services(),
        0,
        "j".into(),
    );
    assert_eq!(token.aud, ["kms.mc.example"]);
}
