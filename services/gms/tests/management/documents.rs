//! Reading, putting and deleting documents.

use mc_xml::gktp::GktpDocument;
use mc_xml::group::{self, GroupDocument, Member};
use reqwest::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Method, Response, StatusCode};

use crate::lab::{ADMIN, ALICE, BOB, CAROL, GROUP, Lab, OPEN_GROUP, SEGY, SERVER, document};
use crate::subscriber::opened;

const NEW_GROUP: &str = "sip:new-1@mc.example";

fn etag(response: &Response) -> String {
    response
        .headers()
        .get(ETAG)
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn members_and_servers_read_a_group_under_every_address() {
    let lab = Lab::start().await;
    let escaped = "sip%3Afireground-1%40mc.example";
    for path in [
        document(GROUP),
        document(escaped),
        format!("/org.openmobilealliance.groups/global/byGroup/{GROUP}"),
        format!("/org.openmobilealliance.groups/users/{ALICE}/{GROUP}"),
    ] {
        let response = lab.request(Method::GET, &path, ALICE).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(
            response.headers().get(CONTENT_TYPE).unwrap(),
            group::MEDIA_TYPE
        );
        assert_eq!(
            etag(&response),
            format!("\"{}\"", lab.stored(GROUP).await.1)
        );
        let read = GroupDocument::parse(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(read.uri(), GROUP);
        assert_eq!(read.members().len(), 3);
    }
    let path = document(GROUP);
    let response = lab
        .request(Method::GET, &path, SERVER)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn protection_is_always_written_out() {
    let lab = Lab::start().await;
    for (group_id, value) in [(GROUP, "true"), (OPEN_GROUP, "false")] {
        let path = document(group_id);
        let response = lab.request(Method::GET, &path, ALICE).send().await.unwrap();
        let text = response.text().await.unwrap();
        for element in ["protect-media", "protect-floor-control-signalling"] {
            let written = format!("<mcpttgi:{element}>{value}</mcpttgi:{element}>");
            assert!(text.contains(&written), "{text}");
        }
    }
}

#[tokio::test]
async fn an_unchanged_document_is_not_sent_again() {
    let lab = Lab::start().await;
    let path = document(GROUP);
    let first = lab.request(Method::GET, &path, ALICE).send().await.unwrap();
    let tag = etag(&first);
    let again = lab
        .request(Method::GET, &path, ALICE)
        .header(IF_NONE_MATCH, &tag);
    let again = again.send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(etag(&again), tag);
    let other = lab
        .request(Method::GET, &path, ALICE)
        .header(IF_NONE_MATCH, "\"x\"");
    assert_eq!(other.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_member_without_the_right_sees_no_member_list() {
    let lab = Lab::start().await;
    let mut changed = GroupDocument::parse(lab.stored(GROUP).await.0.as_bytes()).unwrap();
    changed.put_member(&Member::new(BOB)).unwrap();
    let rule = "<mcpttgi:on-network-allow-getting-member-list>";
    let text = changed
        .to_xml()
        .replace(&format!("{rule}true"), &format!("{rule}false"));
    let put = lab.request(Method::PUT, &document(GROUP), ADMIN);
    let put = put
        .header(CONTENT_TYPE, group::MEDIA_TYPE)
        .body(text)
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), StatusCode::OK);
    for (user, members) in [(BOB, 0), (SERVER, 3)] {
        let response = lab
            .request(Method::GET, &document(GROUP), user)
            .send()
            .await
            .unwrap();
        let read = GroupDocument::parse(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(read.members().len(), members, "{user}");
    }
}

#[tokio::test]
async fn an_administrator_creates_replaces_and_deletes() {
    let lab = Lab::start().await;
    let path = document(NEW_GROUP);
    let put = |text: String| {
        let request = lab.request(Method::PUT, &path, ADMIN);
        request.header(CONTENT_TYPE, group::MEDIA_TYPE).body(text)
    };
    let mut new = GroupDocument::new(NEW_GROUP, "New").unwrap();
    new.put_member(&Member::new(CAROL)).unwrap();
    let created = put(new.to_xml())
        .header(IF_NONE_MATCH, "*")
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    let tag = etag(&created);
    let again = put(new.to_xml())
        .header(IF_NONE_MATCH, "*")
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(
        lab.gms.store.groups_of(CAROL).await.unwrap(),
        [NEW_GROUP, OPEN_GROUP]
    );

    new.put_member(&Member::new(BOB)).unwrap();
    let replaced = put(new.to_xml())
        .header(IF_MATCH, &tag)
        .send()
        .await
        .unwrap();
    assert_eq!(replaced.status(), StatusCode::OK);
    let stale = put(new.to_xml())
        .header(IF_MATCH, &tag)
        .send()
        .await
        .unwrap();
    assert_eq!(stale.status(), StatusCode::PRECONDITION_FAILED);

    let delete = lab
        .request(Method::DELETE, &path, ADMIN)
        .header(IF_MATCH, &tag);
    assert_eq!(
        delete.send().await.unwrap().status(),
        StatusCode::PRECONDITION_FAILED
    );
    let delete = lab
        .request(Method::DELETE, &path, ADMIN)
        .header(IF_MATCH, etag(&replaced));
    assert_eq!(delete.send().await.unwrap().status(), StatusCode::OK);
    let gone = lab.request(Method::GET, &path, ADMIN).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn capabilities_name_both_usages() {
    let lab = Lab::start().await;
    let response = lab
        .request(Method::GET, "/xcap-caps/global/index", ALICE)
        .send()
        .await
        .unwrap();
    let text = response.text().await.unwrap();
    assert!(
        text.contains("<auid>org.openmobilealliance.groups</auid>"),
        "{text}"
    );
    assert!(text.contains("<auid>org.3gpp.MCPTT-GKTP</auid>"), "{text}");
}

#[tokio::test]
async fn the_key_document_holds_the_members_own_message() {
    let lab = Lab::start().await;
    let path = format!("/org.3gpp.MCPTT-GKTP/global/byGroupID/{GROUP}");
    let response = lab.request(Method::GET, &path, ALICE).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let document = GktpDocument::parse(&response.bytes().await.unwrap()).unwrap();
    let gktps = document.gmk.unwrap().gktps;
    let key = opened(&lab, ALICE, &gktps.first().unwrap().mikey);
    assert_eq!(gktps.first().unwrap().id, key.id.to_string());
    let parameters = key.parameters.unwrap();
    assert_eq!(parameters.groups.unwrap(), [GROUP]);
    assert!(
        parameters.status.is_shared_with_gateway(),
        "{SEGY} is a member"
    );
    let refused = lab.request(Method::GET, &path, CAROL).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}
