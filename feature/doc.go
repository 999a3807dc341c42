// Package feature defines features, the graph they form and their versions.
//
// A feature is a table in which every row is a sample: a video, a crop of a video, a transcript. The columns that
// identify a sample are the feature's ID columns. A root feature is fed from outside; any other is computed from its
// parents, which its dependencies name.
//
// A field is a part of a sample that can change by itself, such as the sound and the pictures of a video. Each field
// has a code version, which its author changes along with the code that computes it, and inputs: the fields of the
// parents that it is computed from. They follow from the mappings of the dependencies, unless the field lists them.
//
// From these a [Graph] computes versions, all of them hashes:
//
//   - the version of a field changes with its code version and with the version of any of its inputs, and with
//     nothing else, so that new pictures leave a transcript of the sound as it is;
//   - the version of a feature ([Feature.Version]) changes with that of any of its fields;
//   - its code version ([Feature.CodeVersion]) changes with the code versions of its own fields only;
//   - its spec version ([Feature.SpecVersion]) and definition version ([Feature.DefinitionVersion]) change with
//     anything that is declared, descriptions included;
//   - the version of a project ([Graph.ProjectVersion]) changes with any definition of the project's own features.
//
// Every version equals the one that Metaxy computes from the same declarations. The package does no I/O.
package feature
