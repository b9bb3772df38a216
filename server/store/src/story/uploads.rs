use sekisho_domain::{Sha256, Step, Tokens};

use super::{at, id, run};
use crate::{Store, Upload, UploadFile};

pub(crate) async fn an_upload_grows_piece_by_piece(store: &dyn Store) {
    let owner = run(1);
    store.add_run(&owner).await.expect("run");
    let file = |path: &str, size: u64| UploadFile {
        path: path.to_owned(),
        size,
        sha256: Sha256::of(path),
        received: 0,
        done: false,
    };
    let upload = Upload {
        id: id(2),
        run: owner.id,
        step: Step(100),
        tokens: Tokens(51_200),
        key: Sha256::of("key"),
        who: "mori".to_owned(),
        files: vec![file("config.json", 3), file("model.safetensors", 1 << 40)],
        created: at(1),
        updated: at(1),
    };
    assert_eq!(store.add_upload(&upload).await.expect("add"), upload);
    let same = Upload { id: id(3), who: "sato".to_owned(), ..upload.clone() };
    assert_eq!(store.add_upload(&same).await.expect("again"), upload, "the one that is there");
    assert_eq!(store.uploads_of(owner.id).await.expect("list"), std::slice::from_ref(&upload));

    let grow = async |from, to, second| {
        store.set_received(upload.id, "model.safetensors", from, to, at(second)).await.expect("written")
    };
    assert!(grow(0, 1 << 39, 5).await);
    assert!(!grow(0, 9, 6).await, "a stale piece moves nothing");
    let now = store.upload(upload.id).await.expect("lookup").expect("is there");
    assert_eq!((now.files[1].received, now.updated), (1 << 39, at(5)));

    let held = async |project: &str| {
        store.uploads_holding(project, &[Sha256::of("config.json")]).await.expect("list")
    };
    assert_eq!(held("default").await, [], "not done");
    store.set_file_done(upload.id, "config.json", at(7)).await.expect("done");
    assert_eq!(held("default").await[0].0, upload.id);
    assert_eq!(held("other").await, []);
    assert!(!store.set_received(upload.id, "config.json", 0, 3, at(8)).await.expect("asked"), "done is done");

    assert_eq!(store.uploads_silent_since(at(7)).await.expect("list"), []);
    assert_eq!(store.uploads_silent_since(at(8)).await.expect("list").len(), 1);
    store.remove_upload(upload.id).await.expect("removed");
    assert_eq!(store.upload(upload.id).await.expect("lookup"), None);
    assert_eq!(held("default").await, []);
}
