//! Commands, exit codes and bad input, by the built binary.

use std::path::Path;

use crate::support::parts;
use crate::support::process::Ended;

/// A folder with a config of these rotations over an emulated issuer that nobody can reach.
fn config(folder: &Path, rotations: &str) -> String {
    let text = format!(
        "issuers: {{bandwidth: {{preset: bandwidth, tokenUrl: 'http://127.0.0.1:1/token'}}, legacy: {{type: basic}}}}\n\
         rotations:\n{rotations}"
    );
    let path = folder.join("config.yaml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn basic(name: &str, at: &Path) -> String {
    let at = at.display();
    format!(
        "- {{name: {name}, issuer: legacy, source: {{files: {{username: '{at}/user', password: '{at}/password'}}}}, \
         sinks: [{{directory: {{path: '{at}/{name}'}}}}]}}\n"
    )
}

#[test]
fn every_mistake_of_a_configuration_is_shown_at_once_and_nothing_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let path = config(
        folder.path(),
        &format!(
            "- {{name: a, issuer: bandwith, source: {{env: {{clientId: A, clientSecret: B}}}}, renewAt: 50%, renewBefore: 5m, \
             sinks: [{{directory: {{path: '{at}/a'}}}}]}}\n\
             - {{name: b, issuer: bandwidth, sorce: x, sinks: [{{directory: {{path: '{at}/a'}}}}]}}\n"
        ),
    );
    for command in ["check", "once", "run"] {
        let ended = Ended::run(&[command, "--config", &path]);
        assert_eq!(ended.code, 2, "{command}: {}", ended.stderr);
        for expected in
            ["did you mean bandwidth?", "exclude each other", "unknown key sorce", "source is missing"]
        {
            assert!(ended.stderr.contains(expected), "{command}: {expected}\n{}", ended.stderr);
        }
        assert!(ended.stdout.is_empty());
    }
    assert!(!folder.path().join("a").exists());
}

#[test]
fn wrong_arguments_end_with_2_and_help_with_0() {
    assert_eq!(Ended::run(&["--help"]).code, 0);
    assert_eq!(Ended::run(&["--version"]).code, 0);
    assert_eq!(Ended::run(&["run"]).code, 2, "--config is missing");
    assert_eq!(Ended::run(&["frobnicate"]).code, 2);
    assert_eq!(Ended::run(&["once", "--config", "/nowhere/config.yaml"]).code, 2);
    assert_eq!(Ended::run(&["status", "--addr", "http://127.0.0.1:1"]).code, 1, "nobody answers there");
}

#[test]
fn a_missing_file_harms_its_rotation_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("user"), "jdoe").unwrap();
    std::fs::write(folder.path().join("password"), "correct-horse-battery-staple\n").unwrap();
    let at = folder.path().display();
    let missing = format!(
        "- {{name: broken, issuer: bandwidth, source: {{files: {{clientId: '{at}/id', clientSecret: '{at}/secret'}}}}, \
         sinks: [{{directory: {{path: '{at}/broken'}}}}]}}\n"
    );
    let path = config(folder.path(), &(missing + &basic("good", folder.path())));
    let ended = Ended::run(&["once", "--config", &path, "--timeout", "10s"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("broken (fetch, source_missing): the file"), "{}", ended.stderr);
    let header = std::fs::read_to_string(folder.path().join("good/authorization")).unwrap();
    assert_eq!(header, "Basic amRvZTpjb3JyZWN0LWhvcnNlLWJhdHRlcnktc3RhcGxl", "the guide's own");
    assert!(!folder.path().join("broken").exists(), "nothing written");
    assert_eq!(Ended::run(&["once", "--config", &path, "--rotation", "good"]).code, 0);
    assert_eq!(Ended::run(&["once", "--config", &path, "--rotation", "gone"]).code, 2);
}

#[test]
fn bad_input_at_run_time_is_one_clear_message_each() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("colon"), "jdoe:x").unwrap();
    std::fs::write(at.join("empty"), "\n").unwrap();
    std::fs::write(at.join("good"), "good").unwrap();
    std::fs::create_dir(at.join("theirs")).unwrap();
    std::fs::write(at.join("theirs/file"), "not ours").unwrap();
    let shown = at.display();
    let rotation = |name: &str, id: &str, secret: &str, sink: &str| {
        format!(
            "- {{name: {name}, issuer: bandwidth, source: {{files: {{clientId: '{shown}/{id}', clientSecret: '{shown}/{secret}'}}}}, \
             sinks: [{{directory: {{path: '{shown}/{sink}'}}}}]}}\n"
        )
    };
    let all = rotation("colon", "colon", "good", "sink-a")
        + &rotation("empty", "good", "empty", "sink-b")
        + &rotation("foreign", "good", "good", "theirs");
    let path = config(at, &all);
    let ended = Ended::run(&["once", "--config", &path, "--timeout", "10s"]);
    assert_eq!(ended.code, 1);
    let online = Ended::run(&["check", "--online", "--config", &path]);
    assert_eq!(online.code, 1);
    for text in [&ended.stderr, &online.stdout] {
        for expected in ["client id contains a colon", "it is empty", "the sink is not ours"] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }
    assert_eq!(std::fs::read_dir(at.join("theirs")).unwrap().count(), 1, "left as it was");
    assert!(!at.join("sink-a").exists() && !at.join("sink-b").exists());
}

#[test]
fn the_schema_and_the_examples_agree_with_what_is_read() {
    let schema = Ended::run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&schema.stdout).unwrap();
    assert_eq!(schema["properties"]["rotations"]["type"], "array");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/example/config.yaml");
    let ended = Ended::run(&["check", "--config", example]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("nothing is wrong"), "{}", ended.stdout);
    let json = Ended::run(&["check", "-o", "json", "--config", example]);
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(report["rotations"].as_array().unwrap().iter().all(|row| row["name"].is_string()));
}

#[test]
fn the_chart_renders_configurations_without_mistakes() {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/everbearer");
    let helm = std::env::var_os("HELM_BIN").map_or_else(|| parts().join("bin/helm3"), Into::into);
    let folder = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for entry in std::fs::read_dir(chart.join("ci")).unwrap() {
        let values = entry.unwrap().path();
        let mut template = std::process::Command::new(&helm);
        template.args(["template", "release"]).arg(&chart).arg("--values").arg(&values);
        let rendered = Ended::of(&mut template);
        assert_eq!(
            rendered.code, 0,
            "helm is there (`make parts`) and takes the values: {}",
            rendered.stderr
        );
        // The one block scalar of the ConfigMap.
        let block = rendered.stdout.lines().skip_while(|line| *line != "  config.yaml: |").skip(1);
        let block = block.take_while(|line| line.is_empty() || line.starts_with("    "));
        let config: Vec<&str> = block.map(|line| line.get(4..).unwrap_or_default()).collect();
        assert!(config.len() > 5, "{}: {}", values.display(), rendered.stdout);
        let path = folder.path().join("config.yaml");
        std::fs::write(&path, config.join("\n")).unwrap();
        let ended = Ended::run(&["check", "--config", path.to_str().unwrap()]);
        assert_eq!(ended.code, 0, "{}: {}", values.display(), ended.stderr);
        checked += 1;
    }
    assert!(checked >= 3, "the chart's variants are there");
}

#[test]
fn the_demo_ends_by_itself_and_the_provider_took_every_token() {
    let ended = Ended::run(&["demo", "--for", "12s"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert!(ended.stdout.contains("all accepted by the provider"), "{}", ended.stdout);
}
