use sekisho_domain::Sha256;

use super::{at, id};
use crate::{KeptAnswer, KeyStanding, KeyedRequest, Store};

pub(crate) async fn a_keyed_request_is_carried_out_once(store: &dyn Store) {
    let one = KeyedRequest { user: id(1), key: "k".to_owned(), digest: Sha256::of("one") };
    let other = KeyedRequest { digest: Sha256::of("other"), ..one.clone() };
    let of_another = KeyedRequest { user: id(2), ..other.clone() };
    let answer =
        KeptAnswer { status: 201, content_type: "application/json".to_owned(), body: b"{}".to_vec() };
    let begin = async |request: &KeyedRequest, seconds: i64| {
        store.begin_keyed(request, at(seconds - 100), at(seconds)).await.expect("begun")
    };
    assert_eq!(begin(&one, 0).await, KeyStanding::New);
    assert_eq!(begin(&one, 1).await, KeyStanding::Running);
    assert_eq!(begin(&other, 1).await, KeyStanding::Other, "another body under the same key");
    assert_eq!(begin(&of_another, 1).await, KeyStanding::New, "keys of others are others");
    store.keep_answer(&one, &answer).await.expect("kept");
    assert_eq!(begin(&one, 100).await, KeyStanding::Answered(answer.clone()), "for as long as it is kept");
    assert_eq!(begin(&one, 101).await, KeyStanding::New, "and no longer");
    store.drop_keyed(&one).await.expect("dropped");
    assert_eq!(begin(&other, 102).await, KeyStanding::New, "a request that failed leaves its key free");
    store.keep_answer(&other, &answer).await.expect("kept");
    store.free_keyed().await.expect("freed");
    assert_eq!(begin(&other, 103).await, KeyStanding::Answered(answer), "what was answered stays");
    assert_eq!(begin(&of_another, 103).await, KeyStanding::New, "what a dead process was at does not");
}
