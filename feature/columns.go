package feature

import "slices"

// The system columns of a feature table, as Metaxy names them.
const (
	// ColProvenanceByField holds, by field, the hash of what the field was computed from.
	ColProvenanceByField = "metaxy_provenance_by_field"
	// ColProvenance holds the hash over all fields' provenance.
	ColProvenance = "metaxy_provenance"
	// ColDataVersionByField holds, by field, the version of the data that downstream fields see.
	ColDataVersionByField = "metaxy_data_version_by_field"
	// ColDataVersion holds the hash over all fields' data versions.
	ColDataVersion = "metaxy_data_version"
	// ColFeatureVersion holds the feature version that the row was written under.
	ColFeatureVersion = "metaxy_feature_version"
	// ColProjectVersion holds the project version that the row was written under.
	ColProjectVersion = "metaxy_project_version"
	// ColCreatedAt holds when the sample was first written.
	ColCreatedAt = "metaxy_created_at"
	// ColUpdatedAt holds when the row was written; the latest row of a sample wins.
	ColUpdatedAt = "metaxy_updated_at"
	// ColDeletedAt holds when the sample was deleted, null while it is live.
	ColDeletedAt = "metaxy_deleted_at"
	// ColMaterializationID holds the run that wrote the row.
	ColMaterializationID = "metaxy_materialization_id"
)

// SystemColumns returns the names of the system columns in their customary order. The caller may change the slice.
func SystemColumns() []string {
	return []string{
		ColProvenanceByField, ColProvenance, ColDataVersionByField, ColDataVersion, ColFeatureVersion,
		ColProjectVersion, ColCreatedAt, ColUpdatedAt, ColDeletedAt, ColMaterializationID,
	}
}

// IsSystemColumn reports whether name is one of [SystemColumns].
func IsSystemColumn(name string) bool {
	return slices.Contains(SystemColumns(), name)
}
