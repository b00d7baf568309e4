use tagout_proto::{ServerName, qualified};

#[test]
fn names_are_stable_and_fit_every_provider() {
    let server = ServerName::try_from("files").unwrap();
    assert_eq!(qualified(&server, "read_file"), "files__read_file");
    let dotted = qualified(&server, "read.file");
    assert!(dotted.starts_with("files__read_file_"), "{dotted}");
    assert_ne!(dotted, qualified(&server, "read_file"));
    let long = qualified(&server, &"x".repeat(100));
    assert_eq!(long.len(), 64);
    assert_ne!(long, qualified(&server, &"x".repeat(101)));
}
