use sekisho_domain::user::Role;

use super::{at, entry, id, user};
use crate::{Project, Store, StoreError};

pub(crate) async fn roles_hold_in_a_project(store: &dyn Store) {
    store.add_user(&user(1, "森", &[Role::Viewer]), &entry("user.add")).await.expect("user");
    let project = Project { name: "v4".to_owned(), title: "LLM-jp-4".to_owned(), created: at(1) };
    store.add_project(&project, &entry("project.add")).await.expect("add");
    let again = store.add_project(&project, &entry("project.add")).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    let names: Vec<String> = store.projects().await.expect("list").into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["default", "v4"]);

    let set = async |roles: &[Role]| {
        store.set_project_roles(id(1), "v4", roles, &entry("user.project_roles")).await.expect("set");
        store.user(id(1)).await.expect("lookup").expect("is there")
    };
    let there = set(&[Role::Approver, Role::Contributor]).await;
    assert!(
        there.has_in("v4", Role::Approver) && there.has_in("v4", Role::Viewer),
        "everywhere is there too"
    );
    assert!(!there.has_in("default", Role::Approver) && !there.has(Role::Approver));
    assert_eq!(set(&[Role::Contributor]).await.projects["v4"], [Role::Contributor]);
    assert!(set(&[]).await.projects.is_empty());
    let nowhere = store.set_project_roles(id(1), "v5", &[Role::Viewer], &entry("user.project_roles")).await;
    assert!(nowhere.is_err(), "there is no such project");
}
