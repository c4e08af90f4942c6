//! Long lists, page by page: one answer with all of it could be large.

use kube::api::ListParams;
use kube::core::ObjectList;

/// Every object that is chosen, `size` of them at a time. `list` asks for one page.
///
/// # Errors
/// Those of `list`, and of `each`, which ends it.
pub async fn pages<K, E, F>(
    chosen: ListParams,
    size: u32,
    list: impl Fn(ListParams) -> F,
    mut each: impl FnMut(K) -> Result<(), E>,
) -> Result<(), E>
where
    K: Clone,
    F: Future<Output = Result<ObjectList<K>, E>>,
{
    let mut page = chosen.limit(size);
    loop {
        let found = list(page.clone()).await?;
        found.items.into_iter().try_for_each(&mut each)?;
        match found.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => page = page.continue_token(&next),
            None => return Ok(()),
        }
    }
}
