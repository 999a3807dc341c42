package systemtable

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// FeatureVersions is the key of the table.
const FeatureVersions feature.Key = "metaxy-system/feature_versions"

// The columns of the table, in order.
const (
	colProject           = "project"
	colFeatureKey        = "feature_key"
	colFeatureVersion    = feature.ColFeatureVersion
	colDefinitionVersion = "metaxy_definition_version"
	colRecordedAt        = "recorded_at"
	colFeatureSpec       = "feature_spec"
	colFeatureSchema     = "feature_schema"
	colFeatureClassPath  = "feature_class_path"
	colProjectVersion    = feature.ColProjectVersion
	colTags              = "tags"
	colDeletedAt         = "deleted_at"
)

// A Row is one feature of one snapshot, as it was recorded.
type Row struct {
	// Project is the project that the snapshot belongs to.
	Project string
	// Feature is the feature's key. It is not checked.
	Feature feature.Key
	// FeatureVersion, DefinitionVersion and ProjectVersion are the versions at that time.
	FeatureVersion, DefinitionVersion, ProjectVersion string
	// RecordedAt is when the row was made, in UTC.
	RecordedAt time.Time
	// Spec and Schema are JSON texts. They are not checked.
	Spec, Schema string
	// ClassPath is the Python class of the feature.
	ClassPath string
	// Tags is a JSON object of texts.
	Tags string
}

// Definition makes the feature of the row. Its error names the feature.
func (r *Row) Definition() (feature.Definition, error) {
	d := feature.Definition{Project: r.Project, ClassPath: r.ClassPath}
	if err := json.Unmarshal([]byte(r.Spec), &d.Spec); err != nil {
		return d, fmt.Errorf("feature %.100q, recorded by project %.100q at %s: %w",
			r.Feature, r.Project, r.RecordedAt.Format(time.RFC3339), err)
	}
	if schema := strings.TrimSpace(r.Schema); schema != "" && schema != "null" {
		d.Schema = json.RawMessage(schema)
	}
	return d, nil
}

// MetaxyVersion is the version of Metaxy whose form the rows have.
const MetaxyVersion = "0.1.11"

// metaxyTag is the tag that Metaxy keeps for itself.
const metaxyTag = "metaxy"

// tagText is the tags as they are stored: the given ones in their order, and Metaxy's own, whose value is JSON itself.
func tagText(tags []Tag) (string, error) {
	var b strings.Builder
	b.WriteByte('{')
	for _, t := range tags {
		if t.Name == metaxyTag {
			return "", fmt.Errorf("%w: the tag %q is Metaxy's own; choose another name", ErrPush, metaxyTag)
		}
		if !utf8.ValidString(t.Name) || !utf8.ValidString(t.Value) {
			return "", fmt.Errorf("%w: the tag %q is not UTF-8", ErrPush, t.Name)
		}
		name, _ := json.Marshal(t.Name) // texts have always a JSON form
		value, _ := json.Marshal(t.Value)
		fmt.Fprintf(&b, "%s:%s,", name, value)
	}
	fmt.Fprintf(&b, "%q:%q}", metaxyTag, fmt.Sprintf(`{"version": %q}`, MetaxyVersion))
	text, err := feature.JSONText([]byte(b.String()))
	if err != nil {
		return "", fmt.Errorf("%w: tags: %w", ErrPush, err)
	}
	return text, nil
}

// UserTags are the row's tags without Metaxy's own; nil when there are none.
func (r *Row) UserTags() map[string]string {
	var all map[string]any
	if json.Unmarshal([]byte(r.Tags), &all) != nil {
		return nil
	}
	var tags map[string]string
	for name, value := range all {
		if text, ok := value.(string); ok && name != metaxyTag {
			if tags == nil {
				tags = map[string]string{}
			}
			tags[name] = text
		}
	}
	return tags
}
