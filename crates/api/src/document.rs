//! The OpenAPI document, made from the types and the table of routes.

use std::collections::BTreeMap;

use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{KnownFormat, Ref, SchemaFormat};
use utoipa::openapi::{
    ComponentsBuilder, Content, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Paths, RefOr,
    Required, Schema, Type,
};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::{
    ArtifactReceipt, AssignmentQuery, AssignmentView, ConsentRequest, DecisionView, DeviceAnswer,
    DeviceDetail, DeviceQuery, DeviceSummary, Event, ExecuteRequest, FleetSummary, Health,
    HistoryEntry, ImportRequest, ImportedPolicy, LintReport, LintRequest, ListQuery,
    OperationDetail, OperationSummary, OrderRequest, Page, PathQuery, Plan, PlanRequest, Problem,
    PublishRequest, PublishResponse, ReadResponse, RehearsalFacts, ReleaseDetail, ReleaseSummary,
    ReplayReport, SignalReceipt, SignalRequest, StartRequest, Version, WhyQuery, WhyReport,
    WriteRequest, route,
};

/// Describes every route of the HTTP interface (OpenAPI 3.1 or later).
#[must_use]
pub fn document() -> OpenApi {
    let mut document = Document::default();
    document.service();
    document.devices();
    document.releases();
    document.operations();
    let mut components = ComponentsBuilder::new();
    for (name, schema) in document.schemas {
        components = components.schema(name, schema);
    }
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Bellwether")
                .version("v1")
                .description(Some(
                    "Devices, releases and operations. Lists page by key: send `next` of one page \
                     as `after` for the next. Every refusal is a problem (RFC 9457) that says what \
                     would make the request work.",
                ))
                .build(),
        )
        .paths(document.paths)
        .components(Some(components.build()))
        .build()
}

/// The media type of most bodies.
const JSON: &str = "application/json";

#[derive(Default)]
struct Document {
    paths: Paths,
    schemas: BTreeMap<String, RefOr<Schema>>,
}

/// One route on its way into the document.
struct Route {
    method: HttpMethod,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Parameter>,
    request: Option<(&'static str, RefOr<Schema>)>,
    response: Option<(&'static str, RefOr<Schema>)>,
    status: &'static str,
}

impl Route {
    const fn new(
        method: HttpMethod,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            method,
            path,
            id,
            summary,
            parameters: Vec::new(),
            request: None,
            response: None,
            status: "200",
        }
    }

    const fn get(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(HttpMethod::Get, path, id, summary)
    }

    const fn post(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(HttpMethod::Post, path, id, summary)
    }

    const fn put(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(HttpMethod::Put, path, id, summary)
    }

    fn query<Q: IntoParams>(mut self) -> Self {
        self.parameters.extend(Q::into_params(|| Some(ParameterIn::Query)));
        self
    }

    fn header(mut self, name: &str, description: &str) -> Self {
        self.parameters.push(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some(description))
                .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                .build(),
        );
        self
    }

    const fn created(mut self) -> Self {
        self.status = "201";
        self
    }
}

impl Document {
    /// A reference to a type, with the type and all it is made of among the components.
    fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.component::<T>(T::name().into_owned())
    }

    fn component<T: ToSchema>(&mut self, name: String) -> RefOr<Schema> {
        let mut schemas = Vec::new();
        T::schemas(&mut schemas);
        self.schemas.extend(schemas);
        self.schemas.insert(name.clone(), T::schema());
        Ref::from_schema_name(name).into()
    }

    fn add(&mut self, route: Route) {
        self.finish(route);
    }

    fn answer<A: ToSchema>(&mut self, mut route: Route) {
        route.response = Some((JSON, self.schema::<A>()));
        self.finish(route);
    }

    fn answer_page<A: ToSchema>(&mut self, mut route: Route) {
        let name = format!("{}Page", A::name());
        route.response = Some((JSON, self.component::<Page<A>>(name)));
        self.finish(route);
    }

    fn exchange<Q: ToSchema, A: ToSchema>(&mut self, mut route: Route) {
        route.request = Some((JSON, self.schema::<Q>()));
        self.answer::<A>(route);
    }

    fn finish(&mut self, route: Route) {
        let segments = route.path.split('/').filter_map(|part| part.strip_prefix('{'));
        let in_path = segments.map(|part| {
            ParameterBuilder::new()
                .name(part.trim_end_matches('}'))
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                .build()
        });
        let problem = ResponseBuilder::new()
            .description("Why the request was refused.")
            .content(Problem::MEDIA_TYPE, Content::new(Some(self.schema::<Problem>())))
            .build();
        let mut response = ResponseBuilder::new().description("Done.");
        if let Some((media_type, schema)) = route.response {
            response = response.content(media_type, Content::new(Some(schema)));
        }
        let request = route.request.map(|(media_type, schema)| {
            RequestBodyBuilder::new()
                .required(Some(Required::True))
                .content(media_type, Content::new(Some(schema)))
                .build()
        });
        let operation = OperationBuilder::new()
            .operation_id(Some(route.id))
            .summary(Some(route.summary))
            .parameters(Some(in_path.chain(route.parameters)))
            .request_body(request)
            .response(route.status, response.build())
            .response("default", problem)
            .build();
        self.paths.add_path_operation(route.path, vec![route.method], operation);
    }

    fn service(&mut self) {
        self.answer::<Health>(Route::get(
            route::HEALTH,
            "health",
            "Whether the server does its work; 503 when it does not.",
        ));
        self.answer::<Version>(Route::get(route::VERSION, "version", "Which server answers."));
        self.add(Route::get(route::DOCUMENT, "document", "This document."));
        let mut events = Route::get(
            route::EVENTS,
            "events",
            "Everything that happens, as server-sent events; each event's data is one `Event` in \
             JSON. A comment line comes at least every 15 s.",
        )
        .header(route::LAST_EVENT_ID, "The last event seen; the stream goes on after it.");
        events.response = Some(("text/event-stream", self.schema::<Event>()));
        self.finish(events);
    }

    fn devices(&mut self) {
        self.answer::<FleetSummary>(Route::get(route::FLEET, "fleet", "The fleet in numbers."));
        self.answer_page::<DeviceSummary>(
            Route::get(route::DEVICES, "devices", "Devices in the order of their numbers.")
                .query::<DeviceQuery>(),
        );
        self.answer::<DeviceDetail>(Route::get(
            route::DEVICE,
            "device",
            "A device by `dev-7`, its number or its endpoint name.",
        ));
        self.answer::<ReadResponse>(
            Route::get(route::DEVICE_VALUES, "read", "Reads from the device now.")
                .query::<PathQuery>(),
        );
        self.exchange::<WriteRequest, DeviceAnswer>(
            Route::put(route::DEVICE_VALUES, "write", "Writes a value to the device now.")
                .query::<PathQuery>(),
        );
        self.exchange::<ExecuteRequest, DeviceAnswer>(
            Route::post(route::DEVICE_VALUES, "execute", "Executes a resource of the device now.")
                .query::<PathQuery>(),
        );
        self.exchange::<OrderRequest, DeviceSummary>(Route::post(
            route::DEVICE_HOLD,
            "hold",
            "Leaves the device alone until it is released.",
        ));
        self.exchange::<OrderRequest, DeviceSummary>(Route::post(
            route::DEVICE_RELEASE,
            "unhold",
            "Lets a held or quarantined device be updated again.",
        ));
        self.exchange::<ConsentRequest, WhyReport>(Route::post(
            route::DEVICE_CONSENT,
            "consent",
            "Gives, puts off or withdraws the consent of its user or owner to an operation.",
        ));
        self.exchange::<SignalRequest, SignalReceipt>(Route::post(
            route::SIGNALS,
            "signal",
            "Takes in a signal of the business about a device, such as a call to the hotline.",
        ));
        self.answer_page::<HistoryEntry>(
            Route::get(route::DEVICE_HISTORY, "history", "What happened to it, newest first.")
                .query::<ListQuery>(),
        );
        let mut why = Route::get(
            route::DEVICE_WHY,
            "why",
            "Why the device is a target, or not, or not yet, question by question.",
        )
        .query::<WhyQuery>();
        why.response = Some((JSON, {
            self.schema::<WhyReport>();
            <Vec<WhyReport> as PartialSchema>::schema()
        }));
        self.finish(why);
    }

    fn releases(&mut self) {
        let mut upload = Route::put(
            route::ARTIFACT,
            "upload",
            "Stores an image; its bytes must have the digest in the path.",
        );
        let bytes = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
        upload.request = Some(("application/octet-stream", bytes.into()));
        self.answer::<ArtifactReceipt>(upload);
        self.exchange::<LintRequest, LintReport>(Route::post(
            route::RELEASE_LINT,
            "lint",
            "Looks at a manifest without publishing it.",
        ));
        self.exchange::<PublishRequest, PublishResponse>(
            Route::post(
                route::RELEASES,
                "publish",
                "Publishes a release. Publishing the same manifest again changes nothing.",
            )
            .created(),
        );
        self.answer_page::<ReleaseSummary>(
            Route::get(route::RELEASES, "releases", "Releases, newest first.").query::<ListQuery>(),
        );
        self.answer::<ReleaseDetail>(Route::get(
            route::RELEASE,
            "release",
            "A release by `rel-2`, its number, `NAME@VERSION`, or `NAME` for its newest version.",
        ));
    }

    fn operations(&mut self) {
        self.exchange::<PlanRequest, Plan>(Route::post(
            route::OPERATION_PLAN,
            "plan",
            "What an operation would do now; nothing is stored.",
        ));
        self.exchange::<PlanRequest, RehearsalFacts>(Route::post(
            route::OPERATION_REHEARSAL,
            "rehearsal",
            "What the server's own records say of an operation's targets, for a rehearsal in \
             virtual time; nothing is stored.",
        ));
        self.exchange::<StartRequest, OperationSummary>(
            Route::post(route::OPERATIONS, "start", "Opens an operation.")
                .header(
                    route::IDEMPOTENCY_KEY,
                    "Makes the order safe to repeat: the same key and body open one operation.",
                )
                .created(),
        );
        self.answer_page::<OperationSummary>(
            Route::get(route::OPERATIONS, "operations", "Operations, newest first.")
                .query::<ListQuery>(),
        );
        self.answer::<OperationDetail>(Route::get(
            route::OPERATION,
            "operation",
            "An operation by `op-1` or its number.",
        ));
        for (path, id, summary) in [
            (
                route::OPERATION_PAUSE,
                "pause",
                "Stops it until resumed; devices in flight complete.",
            ),
            (route::OPERATION_RESUME, "resume", "Lets a paused operation go on."),
            (route::OPERATION_ABORT, "abort", "Stops it for good; devices in flight complete."),
        ] {
            self.exchange::<OrderRequest, OperationSummary>(Route::post(path, id, summary));
        }
        self.answer_page::<DecisionView>(
            Route::get(route::OPERATION_DECISIONS, "decisions", "Its decisions, newest first.")
                .query::<ListQuery>(),
        );
        self.answer::<ReplayReport>(Route::get(
            route::OPERATION_REPLAY,
            "replay",
            "Makes its stored decisions once more, from what they were made from.",
        ));
        self.exchange::<ImportRequest, ImportedPolicy>(Route::post(
            route::POLICY_IMPORT,
            "import",
            "Takes over the settings of another system as a policy; nothing is stored.",
        ));
        self.answer_page::<AssignmentView>(
            Route::get(
                route::OPERATION_DEVICES,
                "assignments",
                "Its granted devices in the order of their numbers.",
            )
            .query::<AssignmentQuery>(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` must lead to a component.
    #[test]
    fn the_document_is_closed_and_complete() {
        let json = serde_json::to_value(document()).unwrap();
        let schemas = json["components"]["schemas"].as_object().unwrap();
        let mut open = vec![&json];
        let mut references = 0;
        while let Some(value) = open.pop() {
            match value {
                serde_json::Value::Object(members) => {
                    if let Some(target) = members.get("$ref").and_then(|target| target.as_str()) {
                        let name = target.strip_prefix("#/components/schemas/").unwrap();
                        assert!(schemas.contains_key(name), "{name} is not described");
                        references += 1;
                    }
                    open.extend(members.values());
                }
                serde_json::Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
        assert!(references > 50, "{references}");
        assert_eq!(json["paths"].as_object().unwrap().len(), 29);
        assert!(json["openapi"].as_str().unwrap().starts_with("3."));
        let read = &json["paths"][route::DEVICE_VALUES]["get"];
        let names: Vec<&str> = read["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["device", "path"]);
    }
}
