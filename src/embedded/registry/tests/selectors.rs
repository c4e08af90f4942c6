use super::*;

async fn select(api: &Api<'_>, labels: &str, fields: &str) -> Result<Vec<String>, (u16, String)> {
    let options = ListOptions {
        labels: labels.to_owned(),
        fields: fields.to_owned(),
        ..ListOptions::default()
    };
    let listed = api.list(options).await.map_err(|r| (r.code, r.message))?;
    Ok(names(&listed).into_iter().map(str::to_owned).collect())
}

#[tokio::test]
async fn labels_are_selected_by_the_real_grammar() {
    let world = world().await;
    let maps = world.maps();
    for n in 0..5 {
        let parity = if n % 2 == 0 { "even" } else { "odd" };
        maps.made(
            &format!("{n}"),
            json!({"labels": {"i": n.to_string(), "p": parity}}),
            json!({}),
        )
        .await;
    }
    for (selector, expected) in [
        ("", "0 1 2 3 4"),
        ("i", "0 1 2 3 4"),
        ("!i", ""),
        ("! i", ""),
        ("i=1", "1"),
        ("i==1", "1"),
        ("i!=1", "0 2 3 4"),
        ("i in (1,2)", "1 2"),
        ("i notin (1,2)", "0 3 4"),
        ("i>1", "2 3 4"),
        ("i<3", "0 1 2"),
        ("i=1,p=odd", "1"),
        ("  i  =  1 ", "1"),
        ("i in ()", ""),
        ("i=", ""),
        ("i!=", "0 1 2 3 4"),
        ("i in (1,)", "1"),
        ("in=1", ""),
        ("notin", ""),
        ("in in (in)", ""),
        ("x.y/z=1", ""),
        ("z!=1", "0 1 2 3 4"),
        ("z notin (1)", "0 1 2 3 4"),
        ("z>1", ""),
        ("i in (,)", ""),
        ("p in (odd),i>1", "3"),
    ] {
        let expected: Vec<String> = expected.split_whitespace().map(str::to_owned).collect();
        assert_eq!(
            select(&maps, selector, "").await,
            Ok(expected),
            "{selector}"
        );
    }
}

#[tokio::test]
async fn labels_that_are_no_selector_are_refused_in_the_real_words() {
    let world = world().await;
    let maps = world.maps();
    for (selector, why) in [
        (
            "=1",
            "found '=', expected: !, identifier, or 'end of string'",
        ),
        ("i=1,", "found '', expected: identifier after ','"),
        ("i,,p", "found ',', expected: identifier after ','"),
        (
            ",",
            "found ',', expected: !, identifier, or 'end of string'",
        ),
        (
            "i ! = 1",
            "unable to parse requirement: found '!', expected: in, notin, =, ==, !=, gt, lt",
        ),
        ("i=1 p", "found 'p', expected: ',' or 'end of string'"),
        (
            "i>a",
            "unable to parse requirement: values[0]: Invalid value: \"a\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        ("!i=1", "found '=', expected: ',' or 'end of string'"),
        (
            "!",
            "unable to parse requirement: found '', expected: identifier",
        ),
        (
            "(",
            "found '(', expected: !, identifier, or 'end of string'",
        ),
        (
            "i=(1)",
            "unable to parse requirement: found '(', expected: identifier",
        ),
        (
            "i gt 1",
            "unable to parse requirement: found 'gt', expected: in, notin, =, ==, !=, gt, lt",
        ),
        (
            "i in 1",
            "unable to parse requirement: found '1' expected: '('",
        ),
        (
            "i in (1",
            "unable to parse requirement: found '', expected: ',' or ')'",
        ),
        (
            "-x=1",
            "unable to parse requirement: <nil>: Invalid value: \"-x\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
        (
            "i=-1",
            "unable to parse requirement: values[0][i]: Invalid value: \"-1\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ),
    ] {
        assert_eq!(
            select(&maps, selector, "").await,
            Err((400, why.to_owned())),
            "{selector}"
        );
    }
}

#[tokio::test]
async fn fields_are_selected_by_what_the_kind_offers() {
    let world = world().await;
    let (maps, things) = (world.maps(), world.things());
    for name in ["a", "b"] {
        maps.made(name, json!({}), json!({})).await;
    }
    things
        .made("red", json!({}), json!({"spec": {"color": "red"}}))
        .await;
    things.made("none", json!({}), json!({})).await;
    things
        .clone()
        .status()
        .merge("red", json!({"status": {"phase": "Up"}}))
        .await
        .unwrap();
    let secrets = world.of("secrets");
    secrets.made("s", json!({}), json!({})).await;
    let namespaces = world.namespaces();
    for (api, selector, expected) in [
        (&maps, "metadata.name=a", "a"),
        (&maps, "metadata.name==a", "a"),
        (&maps, "metadata.name!=a", "b"),
        (&maps, "metadata.namespace=x", ""),
        (&maps, "metadata.name=a,metadata.namespace=default", "a"),
        (&maps, ",", "a b"),
        (&maps, "metadata.name=a\\,b", ""),
        (&things, "spec.color=red", "red"),
        (&things, "spec.color!=red", "none"),
        (&things, "spec.color=", "none"),
        (&things, "status.phase=Up", "red"),
        (&secrets, "type=Opaque", "s"),
        (&secrets, "type=x", ""),
        (&namespaces, "status.phase=Active", "default kube-system"),
    ] {
        let expected: Vec<String> = expected.split_whitespace().map(str::to_owned).collect();
        assert_eq!(select(api, "", selector).await, Ok(expected), "{selector}");
    }
    for (api, selector, why) in [
        (
            &maps,
            "foo=bar",
            "\"foo\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
        ),
        (
            &maps,
            "=a",
            "\"\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
        ),
        (
            &maps,
            "metadata.name",
            "invalid selector: 'metadata.name'; can't understand 'metadata.name'",
        ),
        (
            &maps,
            "metadata.name>a",
            "invalid selector: 'metadata.name>a'; can't understand 'metadata.name>a'",
        ),
        (
            &maps,
            "metadata.name=a\\xb",
            "invalid field selector: invalid escape sequence: \\x",
        ),
        (
            &things,
            "spec.size=1",
            "field label not supported: spec.size",
        ),
        (&secrets, "foo=1", "field label not supported: foo"),
        (
            &namespaces,
            "metadata.namespace=x",
            "field label not supported: metadata.namespace",
        ),
    ] {
        assert_eq!(
            select(api, "", selector).await,
            Err((400, why.to_owned())),
            "{selector}"
        );
    }
}
