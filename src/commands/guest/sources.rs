//! The guest kit's sources, as they are uploaded.

/// File name and text, in the order of uploading.
pub const SOURCES: [(&str, &str); 24] = [
    source("canary.c", include_str!("../../../ibmi/src/canary.c")),
    source("check.clle", include_str!("../../../ibmi/src/check.clle")),
    source("clnget.c", include_str!("../../../ibmi/src/clnget.c")),
    source("clnid.c", include_str!("../../../ibmi/src/clnid.c")),
    source("clnkit.h", include_str!("../../../ibmi/src/clnkit.h")),
    source("clnpair.h", include_str!("../../../ibmi/src/clnpair.h")),
    source("clnrec.c", include_str!("../../../ibmi/src/clnrec.c")),
    source(
        "clnstrup.clle",
        include_str!("../../../ibmi/src/clnstrup.clle"),
    ),
    source("guard.clle", include_str!("../../../ibmi/src/guard.clle")),
    source("hellojob.c", include_str!("../../../ibmi/src/hellojob.c")),
    source("helpdog.c", include_str!("../../../ibmi/src/helpdog.c")),
    source("helper.c", include_str!("../../../ibmi/src/helper.c")),
    source("helper.h", include_str!("../../../ibmi/src/helper.h")),
    source(
        "install.clle",
        include_str!("../../../ibmi/src/install.clle"),
    ),
    source("isprod.clle", include_str!("../../../ibmi/src/isprod.clle")),
    source("kit.sql", include_str!("../../../ibmi/src/kit.sql")),
    source("msgs.clle", include_str!("../../../ibmi/src/msgs.clle")),
    source(
        "persjs1.clle",
        include_str!("../../../ibmi/src/persjs1.clle"),
    ),
    source(
        "persnet.clle",
        include_str!("../../../ibmi/src/persnet.clle"),
    ),
    source("person.clle", include_str!("../../../ibmi/src/person.clle")),
    source("ready.clle", include_str!("../../../ibmi/src/ready.clle")),
    source("save21.clle", include_str!("../../../ibmi/src/save21.clle")),
    source("space.h", include_str!("../../../ibmi/src/space.h")),
    source(
        "watchdog.clle",
        include_str!("../../../ibmi/src/watchdog.clle"),
    ),
];

const fn source(name: &'static str, text: &'static str) -> (&'static str, &'static str) {
    (name, text)
}

#[cfg(test)]
mod tests {
    use super::SOURCES;

    #[test]
    fn every_source_of_the_kit_is_uploaded() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ibmi/src");
        let mut found: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        let listed: Vec<&str> = SOURCES.iter().map(|(name, _)| *name).collect();
        assert_eq!(found, listed);
    }
}
