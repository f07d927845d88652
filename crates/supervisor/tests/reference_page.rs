//! The reference page on disk says what the option table says.
#![allow(clippy::expect_used)] // a broken expectation is how a test fails

use std::path::Path;
use std::{env, fs};

#[test]
fn the_options_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/options.md");
    let page = weft_supervisor::options::reference_page();
    if env::var_os("WEFT_WRITE_REFERENCE").is_some() {
        fs::create_dir_all(path.with_file_name("")).expect("the folder can be made");
        fs::write(&path, &page).expect("the page can be written");
    }
    let on_disk = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        on_disk == page,
        "docs/reference/options.md is stale; write it anew with\n    \
         WEFT_WRITE_REFERENCE=1 cargo test -p weft-supervisor --test reference_page"
    );
}
