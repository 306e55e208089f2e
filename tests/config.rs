//! The configuration file as people meet it: the annotated one, one full of errors, one full of
//! secrets.

#[cfg(test)]
#[path = "support/certificates.rs"]
#[expect(dead_code, reason = "locked keys are for other tests")]
mod certificates;

#[cfg(test)]
mod config {
    use std::collections::BTreeMap;
    use std::io;
    use std::path::Path;
    use std::sync::OnceLock;

    use schema_mirror::config::Config;
    use schema_mirror::config::Environment;
    use schema_mirror::config::PropertyValue;
    use schema_mirror::config::keys;

    use crate::certificates::Authority;
    use crate::certificates::Identity;

    const ANNOTATED: &str = include_str!("../config/schema-mirror.yaml");

    /// What every secret in these tests contains.
    const MARK: &str = "hunter2";

    /// What stands in the folder of the annotated file's certificate.
    static IDENTITY: OnceLock<Identity> = OnceLock::new();

    /// Variables that are set, and files that hold their own path and a secret.
    #[derive(Default)]
    struct Given(BTreeMap<&'static str, &'static str>);

    impl Environment for Given {
        fn var(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|value| (*value).to_owned())
        }

        fn file(&self, path: &Path) -> io::Result<String> {
            if path.starts_with("/run/secrets") {
                return Ok(format!("{MARK} of {}\n", path.display()));
            }
            if path.starts_with("/etc/schema-mirror") {
                let signed = IDENTITY.get_or_init(|| Authority::new("tests").sign("mirror"));
                let is_key = path.ends_with("key.pem");
                return Ok(if is_key { signed.key() } else { signed.certificate.clone() });
            }
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn given() -> Given {
        Given(BTreeMap::from([("SOURCE_PASSWORD", MARK), ("CLIENT_SECRET", MARK)]))
    }

    /// The file is refused with exactly this text, in which no secret stands.
    #[track_caller]
    fn check(file: &str, expected: &str) {
        let error = Config::parse("mirror.yaml", file, &given()).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}{error}").contains(MARK), "{error:?}");
    }

    #[test]
    fn the_annotated_file_loads_as_it_stands_and_holds_nothing_but_defaults() {
        let annotated = Config::parse("annotated", ANNOTATED, &Given::default()).unwrap();
        let shortest = "
clusters:
  source: { bootstrap_servers: 'broker:29091' }
  target: { bootstrap_servers: 'broker2:29092' }
links:
  - { name: src-to-tgt-link, source: source, target: target }
";
        let shortest = Config::parse("shortest", shortest, &Given::default()).unwrap();
        assert_eq!(format!("{annotated:#?}"), format!("{shortest:#?}"));
    }

    #[test]
    fn the_annotated_file_explains_every_known_key() {
        let lines: Vec<&str> = ANNOTATED.lines().map(str::trim_start).collect();
        for key in [keys::TOP, keys::HTTP, keys::CLUSTER, keys::CLUSTER_HTTP, keys::LINK].concat() {
            let is_explained = lines.windows(2).any(|pair| {
                let line = pair[1].trim_start_matches("# ").trim_start_matches("- ");
                let is_key = line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
                is_key && pair[0].starts_with('#')
            });
            assert!(is_explained, "{key} is missing from the annotated file, or has no comment");
        }
    }

    #[test]
    fn the_examples_in_the_annotated_file_load_when_they_are_uncommented() {
        let uncommented = ANNOTATED
            .replace("    kafka: {}\n", "")
            .replace("    # kafka:", "    kafka:")
            .replace("    #   s", "      s")
            .replace("# instance:", "instance:")
            .replace("    subject_format: ${subject}\n", "")
            .replace("    # subject_renames:", "    subject_renames:")
            .replace("    # - { match", "    - { match")
            .replace("# allow_deletes_until:", "allow_deletes_until:")
            .replace("  # tls:", "  tls:");
        let config = Config::parse("annotated", &uncommented, &given()).unwrap();
        assert_eq!(config.instance.as_deref(), Some("mirror-1"));
        assert!(config.http.tls.is_some());
        assert_eq!(config.links[0].allow_deletes_until, Some(4711));
        assert_eq!(
            config.links[0].naming.to_string(),
            r#"[{"match":"prod\\.(.*)-value","replace":"$1"},{"match":"(.*)","replace":"dr-$1"}]"#
        );
        let properties = &config.clusters["source"].kafka;
        let value = |name: &str| properties.get(name).map(PropertyValue::reveal);
        assert_eq!(value("security.protocol"), Some("SASL_SSL"));
        assert_eq!(value("sasl.password"), Some(MARK));
        let tokens =
            ANNOTATED.replace("    kafka: {}\n", "    kafka:\n").replace("    #     ", "      ");
        let config = Config::parse("annotated", &tokens, &given()).unwrap();
        let properties = &config.clusters["source"].kafka;
        let secret = properties.get("sasl.oauthbearer.client.secret");
        assert_eq!(secret.map(PropertyValue::reveal), Some(MARK));
        let iam = ANNOTATED.replace("    kafka: {}\n", "").replace("    #  kafka:", "    kafka:");
        let config = Config::parse("annotated", &iam, &given()).unwrap();
        let mechanism = config.clusters["source"].kafka.get("sasl.mechanism");
        assert_eq!(mechanism.map(PropertyValue::reveal), Some("AWS_MSK_IAM"));
        let from_file = "hunter2 of /run/secrets/source-key-password";
        assert_eq!(value("ssl.key.password"), Some(from_file));
    }

    #[test]
    fn the_file_of_the_walkthrough_loads() {
        let file = include_str!("../docker/schema-mirror.yaml");
        let given = Given(BTreeMap::from([("SCHEMA_MIRROR_TOKEN", "walkthrough-only")]));
        let config = Config::parse("walkthrough", file, &given).unwrap();
        let urls: Vec<String> = config
            .clusters
            .values()
            .flat_map(|cluster| cluster.registry_urls.iter().map(ToString::to_string))
            .collect();
        assert_eq!(urls, ["http://schemaregistry:8081", "http://schemaregistry2:8082"]);
    }

    #[test]
    fn all_errors_of_a_file_come_at_once() {
        check(
            r#"
instance: mirror 1
cluster: {}
clusters:
  source:
    bootstrap_servers: broker:port
    dialect: apicurio
    write_rate_max: 0
    compression: zstd
    kafka: { acks: 1, sasl.password: { env: SOURCE_PASWORD } }
  target:
    bootstrap_servers: broker2:29092
    default_compatibility: backward
links:
  - name: one
    source: source
    target: tarjet
    fence: read-only
    subject: ["*"]
    max_delete_share: 20
  - source: target
    target: source
    context: ":.x:"
    subjects: ["a*b", "ok", "/(/"]
    adopt: "yes"
    allow_deletes_until: -1
"#,
            include_str!("golden/config-errors.txt").trim_end(),
        );
    }

    fn renaming(keys: &str) -> Result<Config, String> {
        let file = format!(
            "
clusters: {{ a: {{ bootstrap_servers: 'a:1' }}, b: {{ bootstrap_servers: 'b:1' }} }}
links:
  - {{ name: x, source: a, target: b, {keys} }}
"
        );
        Config::parse("mirror.yaml", &file, &given()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_of_rules_is_what_subjects_are_renamed_by() {
        let config = renaming(
            r#"subject_renames: [{ match: "prod-(.*)", replace: $1 }, { match: eu, replace: us }]"#,
        );
        let rules = config.unwrap().links[0].rules("id").unwrap();
        let list =
            r#"[{"match":"prod-(.*)","replace":"$1"},{"match":"eu","replace":"us"}]"#.to_owned();
        assert_eq!(rules.naming.to_string(), list);
        let without = renaming("subjects: ['*']").unwrap().links[0].rules("id").unwrap();
        assert!(rules.fingerprint().contains(&list), "another list is another definition");
        assert!(rules.fingerprint().starts_with(&without.fingerprint()), "none is as it was");
    }

    #[test]
    fn every_rule_of_a_list_that_is_none_is_named_by_its_place() {
        let faults = renaming(
            r#"subject_renames: [{ match: "(", replace: x }, { match: ok, replace: ok }, { match: a, replace: $1 }]"#,
        )
        .unwrap_err();
        for fault in
            ["links[0].subject_renames[0]", "not a regex", "subject_renames[2]", "no group 1"]
        {
            assert!(faults.contains(fault), "{fault}: {faults}");
        }
        assert!(!faults.contains("subject_renames[1]"), "{faults}");
        for (keys, fault) in [
            ("subject_renames: []", "the list is empty"),
            ("subject_renames: prod", "it is no list of rules"),
            ("subject_renames: [prod]", "subject_renames[0]"),
            ("subject_renames: [{ match: a }]", "its replace is missing"),
            ("subject_renames: [{ match: a, replace: b, with: c }]", "with is not known"),
            ("subject_renames: [{ match: '(\\w{99}){99}', replace: b }]", "256 KiB"),
            (
                "subject_format: 'a-${subject}', subject_renames: [{ match: a, replace: b }]",
                "subject_format stands there, too",
            ),
            (
                "context: none, subject_renames: [{ match: a, replace: b }]",
                "links[0].subject_renames: a list of rules renames into a context only",
            ),
        ] {
            let faults = renaming(keys).unwrap_err();
            assert!(faults.contains(fault) && faults.contains("write"), "{keys}: {faults}");
        }
    }

    #[test]
    fn no_secret_is_ever_shown() {
        let file = "
clusters:
  source:
    bootstrap_servers: a:1
    kafka:
      sasl.username: { env: SOURCE_PASSWORD }
      sasl.password: { file: /run/secrets/x }
      ssl.key.pem: hunter2
      sasl.oauthbearer.client.secret: 'hunter2'
";
        let config = Config::parse("mirror.yaml", file, &given()).unwrap();
        let shown = format!("{config:?} {config:#?}");
        assert!(!shown.contains(MARK), "{shown}");
        assert_eq!(shown.matches("(hidden)").count(), 8, "{shown}");
    }

    #[test]
    fn no_error_shows_a_secret() {
        let property = |written: &str| {
            format!("clusters: {{ a: {{ bootstrap_servers: 'a:1', kafka: {written} }} }}")
        };
        for file in [
            property("{ sasl.password: [hunter2] }"),
            property("{ sasl.password: {hunter2} }"),
            property("{ sasl.password: { env: SOURCE_PASSWORD, x: hunter2 } }"),
            property("{ sasl.password=hunter2 }"),
            property("sasl.password=hunter2"),
            property("[sasl.password=hunter2]"),
            property("{ sasl.password: !!int hunter2 }"),
            property("{ sasl.password: *hunter2 }"),
            property("{ sasl.password: !hunter2 }"),
            property("{ sasl.password: !hunter2! }"),
            property("{ sasl.password: @hunter2 }"),
            property("{ sasl.password: \"\\qhunter2\" }"),
            property("{ sasl.password: 'hunter2 }"),
            property("{ sasl.password: x: hunter2 }"),
            property("{ acks: hunter2, transactional.id: hunter2 }"),
            "clusters: { a: { sasl.password: hunter2 } }\nlinks: { x: hunter2 }".to_owned(),
            "clusters: hunter2".to_owned(),
            "hunter2".to_owned(),
        ] {
            let error = Config::parse("mirror.yaml", &file, &given()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(MARK), "{file}\n{error}");
        }
    }
}
