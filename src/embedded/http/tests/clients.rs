//! kube-rs in this process.

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{
    DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::registry;
use crate::embedded::http::client;

#[tokio::test]
async fn kube_writes_reads_and_watches_without_a_socket() {
    let client = client(registry().await, "default");
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let map: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "a"}, "data": {"k": "v"}})).unwrap();
    let created = maps.create(&PostParams::default(), &map).await.unwrap();
    let refused = maps.create(&PostParams::default(), &map).await.unwrap_err();
    assert!(
        matches!(refused, kube::Error::Api(status) if status.code == 409 && status.reason == "AlreadyExists")
    );

    let version = created.resource_version().unwrap();
    let mut events = maps
        .watch(&WatchParams::default(), &version)
        .await
        .unwrap()
        .boxed();
    let apply = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"more": "1"}});
    maps.patch("a", &PatchParams::apply("me"), &Patch::Apply(apply))
        .await
        .unwrap();
    maps.delete("a", &DeleteParams::background()).await.unwrap();
    let first = events.try_next().await.unwrap().unwrap();
    assert!(matches!(first, WatchEvent::Modified(m) if m.data.clone().unwrap().len() == 2));
    let second = events.try_next().await.unwrap().unwrap();
    assert!(matches!(second, WatchEvent::Deleted(_)));
    assert!(maps.get_opt("a").await.unwrap().is_none());
    assert!(
        maps.list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn watchers_of_metadata_begin_with_what_is_there_in_both_ways() {
    let client = client(registry().await, "default");
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let map: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "a"}, "data": {"k": "v"}})).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    let metadata: Api<PartialObjectMeta<ConfigMap>> = Api::default_namespaced(client);
    for config in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        let events = watcher(metadata.clone(), config);
        let events: Vec<_> = events.take(3).try_collect().await.unwrap();
        assert!(matches!(events[0], watcher::Event::Init));
        assert!(matches!(&events[1], watcher::Event::InitApply(m) if m.name_any() == "a"));
        assert!(matches!(events[2], watcher::Event::InitDone));
    }
}
