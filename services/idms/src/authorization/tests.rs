use super::*;

const GOOD: &str = "response_type=code&client_id=mcptt_client&state=s1&nonce=n1\
    &scope=openid+3gpp:mc:ptt_service&redirect_uri=http%3A%2F%2Flocalhost%2Fcb%3Fa%3D1\
    &acr_values=3gpp:acr:password&code_challenge_method=S256\
    &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn clients() -> Vec<Client> {
    vec![Client {
        client_id: "mcptt_client".into(),
        redirect_uris: vec!["http://localhost/cb?a=1".into(), "mcx://callback".into()],
        secret: None,
    }]
}

fn parsed(query: &str) -> Parameters {
    Parameters::parse(query.as_bytes()).unwrap()
}

fn checked(query: &str) -> Result<AuthorizationRequest, Refusal> {
    check(&parsed(query), &clients(), &ProfileRules::default())
}

fn error_of(query: &str) -> &'static str {
    match checked(query).unwrap_err() {
        Refusal::Redirected {
            error,
            redirect_uri,
            ..
        } => {
            assert_eq!(redirect_uri, "http://localhost/cb?a=1");
            error
        }
        Refusal::Shown(text) => panic!("shown: {text}"),
    }
}

#[test]
fn a_full_request_passes() {
    let request = checked(GOOD).unwrap();
    assert_eq!(request.scope, "openid 3gpp:mc:ptt_service");
    assert_eq!(request.state, "s1");
    assert_eq!(request.nonce.as_deref(), Some("n1"));
}

#[test]
fn unknown_client_or_redirect_uri_is_never_redirected() {
    for (from, to) in [
        ("client_id=mcptt_client", "client_id=other"),
        ("client_id=mcptt_client", "x=y"),
        ("localhost%2Fcb%3Fa%3D1", "localhost%2Fcb%3Fa%3D1%26b%3D2"),
        ("localhost%2Fcb%3Fa%3D1", "localhost%2Fcb"),
        ("localhost", "LOCALHOST"),
        ("redirect_uri=", "redirect_url="),
    ] {
        let refused = checked(&GOOD.replace(from, to)).unwrap_err();
        assert!(matches!(refused, Refusal::Shown(_)), "{from} -> {to}");
    }
}

#[test]
fn each_missing_or_wrong_parameter_has_its_error() {
    for (from, to, error) in [
        (
            "response_type=code",
            "response_type=token",
            "unsupported_response_type",
        ),
        ("response_type=code", "x=y", "invalid_request"),
        ("state=s1", "x=y", "invalid_request"),
        ("openid+", "", "invalid_scope"),
        ("scope=", "scop=", "invalid_scope"),
        ("acr_values=3gpp:acr:password", "x=y", "invalid_request"),
        (
            "code_challenge_method=S256",
            "code_challenge_method=plain",
            "invalid_request",
        ),
        ("code_challenge_method=S256", "x=y", "invalid_request"),
        ("code_challenge=E9", "x=E9", "invalid_request"),
        ("nonce=n1", "prompt=none", "login_required"),
        ("nonce=n1", "response_mode=fragment", "invalid_request"),
        ("nonce=n1", "request=abc", "request_not_supported"),
    ] {
        assert_eq!(error_of(&GOOD.replace(from, to)), error, "{from} -> {to}");
    }
}

#[test]
fn the_switches_admit_deployed_clients() {
    let lenient = ProfileRules {
        require_openid: false,
        require_acr_values: false,
    };
    let query = GOOD
        .replace("openid+", "")
        .replace("acr_values=3gpp:acr:password", "x=y");
    let parameters = Parameters::parse(query.as_bytes()).unwrap();
    assert!(check(&parameters, &clients(), &lenient).is_ok());
}

#[test]
fn the_answer_keeps_the_query_and_escapes() {
    assert_eq!(
        redirect_target(
            "http://localhost/cb?a=1",
            &[("code", "x"), ("state", "a&b=c d")]
        )
        .unwrap(),
        "http://localhost/cb?a=1&code=x&state=a%26b%3Dc+d"
    );
    assert_eq!(
        form_action_source("http://localhost:8080/cb"),
        "http://localhost:8080"
    );
    assert_eq!(form_action_source("mcx://callback"), "mcx:");
}
