//! Users, projects and domains, found by name or id as IAM finds them.

use serde_json::{Value, json};

use super::{
    script::{Project, Tokens, User},
    world::id,
};

/// What is wrong with a request for a token.
#[derive(Debug, PartialEq)]
pub(super) enum Wrong {
    Request(&'static str),
    Credentials(&'static str),
}

/// The user in a request, as the answer has it.
pub(super) fn user(rules: &Tokens, asked: &Value) -> Result<Value, Wrong> {
    let (name, user_id) = (asked["name"].as_str(), asked["id"].as_str());
    let Some(password) = asked["password"].as_str() else {
        return Err(Wrong::Request("Expecting to find password in user."));
    };
    if name.is_none() && user_id.is_none() {
        return Err(Wrong::Request("Expecting to find id or name in user."));
    }
    // A name is a name in a domain.
    if user_id.is_none() && !named(&asked["domain"]) {
        return Err(Wrong::Request("Expecting to find domain in user."));
    }
    let fits = |(name, user): &(&String, &User)| {
        let is_asked = is_asked(asked, name, user.id.as_deref());
        let domain = (user.domain.as_deref(), user.domain_id.as_deref());
        is_asked && user.password == password && is_in(&asked["domain"], domain)
    };
    let known = rules.users.iter().find(fits);
    if known.is_none() && !rules.users.is_empty() {
        return Err(Wrong::Credentials("The username or password is wrong."));
    }
    let or_new = |given: Option<&str>| given.map_or_else(id, str::to_owned);
    let (known_name, known) = known.unzip();
    let domain_name = known.and_then(|user| user.domain.as_deref());
    let domain_id = known.and_then(|user| user.domain_id.as_deref());
    Ok(json!({
        "id": or_new(user_id.or(known.and_then(|user| user.id.as_deref()))),
        "name": name.or(known_name.map(String::as_str)).or(user_id),
        "domain": {
            "id": or_new(domain_id.or(asked["domain"]["id"].as_str())),
            "name": domain_name.or(asked["domain"]["name"].as_str()).unwrap_or("demo"),
        },
    }))
}

/// The project in a request's scope: its id and name. `None` if none is asked for.
pub(super) fn project(rules: &Tokens, asked: &Value) -> Result<Option<(String, String)>, Wrong> {
    if asked.is_null() {
        return Ok(None);
    }
    let (name, project_id) = (asked["name"].as_str(), asked["id"].as_str());
    let Some(either) = project_id.or(name) else {
        return Err(Wrong::Request("Expecting to find id or name in project."));
    };
    if rules.projects.is_empty() {
        return Ok(Some((either.to_owned(), name.unwrap_or(either).to_owned())));
    }
    let fits = |(name, project): &(&String, &Project)| {
        let domain = (project.domain.as_deref(), project.domain_id.as_deref());
        is_asked(asked, name, Some(&project.id)) && is_in(&asked["domain"], domain)
    };
    match rules.projects.iter().find(fits) {
        Some((name, project)) => Ok(Some((project.id.clone(), name.clone()))),
        None => Err(Wrong::Credentials("The request you have made requires authentication.")),
    }
}

/// Whether something is asked for, by its id if there is one in the request.
fn is_asked(asked: &Value, name: &str, id: Option<&str>) -> bool {
    match asked["id"].as_str() {
        Some(asked) => id == Some(asked),
        None => asked["name"] == name,
    }
}

/// Whether the domain in the request, if there is one, is this. A domain that the script leaves
/// out may be any.
fn is_in(asked: &Value, (name, id): (Option<&str>, Option<&str>)) -> bool {
    if !named(asked) || (name.is_none() && id.is_none()) {
        return true;
    }
    is_asked(asked, name.unwrap_or_default(), id)
}

fn named(asked: &Value) -> bool {
    asked["id"].is_string() || asked["name"].is_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::script::Script;

    const RULES: &str = r#"
        [tokens.users]
        ann = { password = "right", id = "u-1", domain = "d", domain_id = "d-1" }
        bob = "right"
        [tokens.projects]
        eu-de = "p-1"
        far = { id = "p-2", domain = "e", domain_id = "e-1" }
    "#;

    fn rules(script: &str) -> Tokens {
        Script::parse("test", script).unwrap().tokens
    }

    #[test]
    fn users_are_found_by_name_or_id() {
        let rules = rules(RULES);
        let domain = json!({"name": "d"});
        for (asked, id) in [
            (json!({"name": "ann", "domain": domain}), Some("u-1")),
            (json!({"name": "ann", "domain": {"id": "d-1"}}), Some("u-1")),
            (json!({"id": "u-1"}), Some("u-1")),
            (json!({"id": "u-1", "domain": {"id": "d-1"}}), Some("u-1")),
            (json!({"name": "ann", "domain": {"name": "e"}}), None),
            (json!({"name": "ann", "domain": {"id": "d"}}), None),
            (json!({"name": "ann", "domain": {"name": "d-1"}}), None),
            (json!({"id": "ann", "domain": domain}), None),
            (json!({"name": "u-1", "domain": domain}), None),
        ] {
            let mut asked = asked;
            asked["password"] = json!("right");
            let found = user(&rules, &asked);
            let expected = Wrong::Credentials("The username or password is wrong.");
            match id {
                Some(id) => {
                    let found = found.unwrap();
                    assert_eq!((&found["id"], &found["name"]), (&json!(id), &json!("ann")));
                    assert_eq!(found["domain"], json!({"id": "d-1", "name": "d"}), "{asked}");
                }
                None => assert_eq!(found, Err(expected), "{asked}"),
            }
            asked["password"] = json!("wrong");
            assert!(matches!(user(&rules, &asked), Err(Wrong::Credentials(_))), "{asked}");
        }
        let bob = json!({"name": "bob", "password": "right", "domain": {"name": "any"}});
        assert_eq!(user(&rules, &bob).unwrap()["domain"]["name"], "any");
    }

    #[test]
    fn a_user_without_password_name_or_domain_is_no_user() {
        for asked in [
            json!(null),
            json!({"name": "ann", "domain": {"name": "d"}}),
            json!({"password": "right", "domain": {"name": "d"}}),
            json!({"name": "ann", "password": "right"}),
            json!({"name": "ann", "password": "right", "domain": {}}),
        ] {
            for rules in [rules(RULES), rules("")] {
                assert!(matches!(user(&rules, &asked), Err(Wrong::Request(_))), "{asked}");
            }
        }
    }

    #[test]
    fn projects_are_found_by_name_or_id() {
        let rules = rules(RULES);
        for (asked, found) in [
            (json!({"name": "eu-de"}), Some(("p-1", "eu-de"))),
            (json!({"id": "p-1"}), Some(("p-1", "eu-de"))),
            (json!({"name": "far"}), Some(("p-2", "far"))),
            (json!({"name": "far", "domain": {"id": "e-1"}}), Some(("p-2", "far"))),
            (json!({"name": "far", "domain": {"name": "e"}}), Some(("p-2", "far"))),
            (json!({"name": "far", "domain": {"name": "d"}}), None),
            (json!({"name": "p-1"}), None),
            (json!({"id": "eu-de"}), None),
        ] {
            let expected = found.map(|(id, name)| (id.to_owned(), name.to_owned()));
            match project(&rules, &asked) {
                Ok(found) => assert_eq!(found, expected, "{asked}"),
                Err(wrong) => {
                    assert!(matches!(wrong, Wrong::Credentials(_)), "{asked}");
                    assert_eq!(expected, None, "{asked}");
                }
            }
        }
        assert_eq!(project(&rules, &Value::Null), Ok(None));
        assert!(matches!(project(&rules, &json!({})), Err(Wrong::Request(_))));
    }
}
