use super::*;

fn about() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "namespace": "default", "uid": "u1"})
}

#[tokio::test]
async fn both_groups_show_one_event_in_their_own_words() {
    let world = world().await;
    let (core, new) = (world.of("events"), world.of("events.events.k8s.io"));
    core.made("e1", json!({}), json!({"involvedObject": about(), "reason": "R", "message": "m", "type": "Normal",
        "source": {"component": "c", "host": "h"}, "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:01Z",
        "count": 2})).await;
    let mut shown = new.get("e1").await.unwrap();
    shown.as_object_mut().unwrap().remove("metadata");
    assert_eq!(
        shown,
        json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "eventTime": null, "reason": "R", "regarding": about(),
        "note": "m", "type": "Normal", "deprecatedSource": {"component": "c", "host": "h"},
        "deprecatedFirstTimestamp": "2026-01-01T00:00:00Z", "deprecatedLastTimestamp": "2026-01-01T00:00:01Z", "deprecatedCount": 2})
    );

    let made = new.made("e2", json!({}), json!({"regarding": about(), "reason": "R", "note": "m", "type": "Normal", "action": "A",
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "rc.dev/x", "reportingInstance": "ri"})).await;
    assert_eq!(
        (&made["deprecatedSource"], &made["deprecatedFirstTimestamp"]),
        (&json!({}), &Value::Null)
    );
    let mut shown = core.get("e2").await.unwrap();
    assert_eq!(
        shown["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    shown.as_object_mut().unwrap().remove("metadata");
    assert_eq!(
        shown,
        json!({"apiVersion": "v1", "kind": "Event", "involvedObject": about(), "reason": "R", "message": "m", "source": {},
        "firstTimestamp": null, "lastTimestamp": null, "type": "Normal", "eventTime": "2026-01-01T00:00:00.000000Z", "action": "A",
        "reportingComponent": "rc.dev/x", "reportingInstance": "ri"})
    );
    assert_eq!(
        names(&core.list(ListOptions::default()).await.unwrap()),
        ["e1", "e2"]
    );
    assert_eq!(
        names(&new.list(ListOptions::default()).await.unwrap()),
        ["e1", "e2"]
    );
    let dup = new.object("e1", json!({}), json!({"regarding": about(), "reason": "R", "type": "Normal", "action": "A", "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "rc", "reportingInstance": "ri"}));
    assert_eq!(
        said(new.create(dup).await),
        (409, "events \"e1\" already exists".to_owned())
    );
}

#[tokio::test]
async fn an_event_is_changed_through_either_group() {
    let world = world().await;
    let (core, new) = (world.of("events"), world.of("events.events.k8s.io"));
    new.made("e", json!({}), json!({"regarding": about(), "reason": "R", "note": "m", "type": "Normal", "action": "A",
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "rc.dev/x", "reportingInstance": "ri"})).await;
    let series = json!({"count": 2, "lastObservedTime": "2026-01-01T00:00:05.000000Z"});
    let patched = new
        .merge("e", json!({"series": series}))
        .await
        .unwrap()
        .object;
    assert_eq!(
        (&patched["series"], &patched["regarding"]),
        (&series, &about())
    );
    assert_eq!(
        said(new.merge("e", json!({"note": "other"})).await).1,
        "Event \"e\" is invalid: message: Invalid value: \"other\": field is immutable"
    );
    let changed = core
        .merge("e", json!({"message": "by core"}))
        .await
        .unwrap()
        .object;
    assert_eq!(
        (&changed["message"], &changed["series"]),
        (&json!("by core"), &series)
    );
    assert_eq!(new.get("e").await.unwrap()["note"], "by core");
    let applied = new.clone();
    let config = new.object(
        "e",
        json!({}),
        json!({"series": {"count": 3, "lastObservedTime": "2026-01-01T00:00:05.000000Z"}}),
    );
    let mut forced = applied;
    forced.options.force = true;
    assert_eq!(
        forced.apply("e", config).await.unwrap().object["series"]["count"],
        3
    );
    assert_eq!(core.get("e").await.unwrap()["series"]["count"], 3);
    let newest = world.registry.store().revision();
    new.merge("e", json!({"note": "by core"})).await.unwrap();
    assert_eq!(
        world.registry.store().revision(),
        newest,
        "going there and back changes nothing"
    );
}

#[tokio::test]
async fn an_event_belongs_to_the_namespace_of_what_it_is_about() {
    let world = world().await;
    let core = world.of("events");
    let mut other = about();
    other["namespace"] = "other".into();
    let refusal = core
        .create(core.object("e", json!({}), json!({"involvedObject": other})))
        .await;
    assert_eq!(said(refusal), (422, "Event \"e\" is invalid: involvedObject.namespace: Invalid value: \"other\": does not match event.namespace".to_owned()));
}

#[tokio::test]
async fn events_are_selected_by_the_words_of_their_group() {
    let world = world().await;
    let (core, new) = (world.of("events"), world.of("events.events.k8s.io"));
    core.made("e1", json!({}), json!({"involvedObject": about(), "reason": "R", "type": "Normal", "source": {"component": "c"}})).await;
    let count = async |api: &Api<'_>, fields: &str| {
        let options = ListOptions {
            fields: fields.to_owned(),
            ..ListOptions::default()
        };
        api.list(options)
            .await
            .map(|l| l.items.len())
            .map_err(|r| r.message)
    };
    for fields in [
        "involvedObject.name=x,involvedObject.namespace=default,involvedObject.kind=ConfigMap,involvedObject.uid=u1",
        "reason=R",
        "type=Normal",
        "source=c",
        "metadata.name=e1",
    ] {
        assert_eq!(count(&core, fields).await, Ok(1), "{fields}");
    }
    assert_eq!(count(&core, "involvedObject.name=y").await, Ok(0));
    assert_eq!(count(&new, "regarding.name=x,reason=R").await, Ok(1));
    assert_eq!(
        count(&new, "involvedObject.name=x").await,
        Err("field label not supported: involvedObject.name".to_owned())
    );
    assert_eq!(
        count(&core, "regarding.name=x").await,
        Err("field label not supported: regarding.name".to_owned())
    );
}
