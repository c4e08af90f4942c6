use super::*;
use crate::embedded::schema::Structural;

#[test]
fn all_schemas_compile() {
    for kind in builtin().unwrap() {
        Structural::new(&kind).unwrap();
    }
}
