// Package systemtable keeps graphs in a store, in the table in which Metaxy keeps them: each reads what the other wrote.
//
// [Push] records the features of a project as a snapshot, unless the last snapshot is the same. [Read] reads all that was
// ever recorded: [Table.Snapshots] lists the snapshots, [Table.Definitions] makes the features of one of them, and
// [Table.Latest] finds the newest definition of each feature, whichever project it belongs to.
//
// The table is an ordinary one of the store, with the key [FeatureVersions]. Rows are only ever added.
package systemtable
