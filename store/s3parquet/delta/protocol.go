package delta

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// Names of table features, as in the Delta protocol.
const (
	featureNTZ        = "timestampNtz"
	featureAppendOnly = "appendOnly"
	featureInvariants = "invariants"
)

// legacyReader and legacyWriter are what the versions below the feature lists demand in addition to the version before.
var (
	legacyReader = map[int32][]string{2: {"columnMapping"}}
	legacyWriter = map[int32][]string{
		2: {featureAppendOnly, featureInvariants}, 3: {"checkConstraints"},
		4: {"changeDataFeed", "generatedColumns"}, 5: {"columnMapping"}, 6: {"identityColumns"},
	}
)

// knownReader and knownWriter are the features that do not stop us.
var (
	knownReader = []string{featureNTZ}
	knownWriter = []string{featureNTZ, featureAppendOnly, featureInvariants}
)

// checkRead refuses a table that reading would misunderstand.
func checkRead(p *Protocol, m *MetaData) error {
	features := p.ReaderFeatures
	switch v := p.MinReaderVersion; {
	case v == 2:
		// Only the mapping of columns came with version 2, and a table may not make use of it.
		if mode := m.Configuration["delta.columnMapping.mode"]; mode != "" && mode != "none" {
			features = legacyReader[2]
		}
	case v > 3:
		return fmt.Errorf("%w: it needs reader version %d, and 3 is the newest known", store.ErrUnsupported, v)
	}
	if err := refuse("reader", features, knownReader); err != nil {
		return err
	}
	if m.Format.Provider != "" && m.Format.Provider != "parquet" {
		return fmt.Errorf("%w: data files of format %q, not parquet", store.ErrUnsupported, m.Format.Provider)
	}
	return nil
}

// checkWrite refuses a table that an append would damage.
func checkWrite(p *Protocol, m *MetaData, s *structType) error {
	features := p.WriterFeatures
	switch v := p.MinWriterVersion; {
	case v > 7:
		return fmt.Errorf("%w: it needs writer version %d, and 7 is the newest known", store.ErrUnsupported, v)
	case v < 7:
		for i := int32(3); i <= v; i++ {
			features = append(features, legacyWriter[i]...)
		}
	}
	if err := refuse("writer", features, knownWriter); err != nil {
		return err
	}
	if name, ok := s.constrained(); ok {
		return fmt.Errorf("%w: column %q has a condition that is not checked here", store.ErrUnsupported, name)
	}
	if len(m.PartitionColumns) > 0 {
		return fmt.Errorf("%w: it is partitioned by %s; partitioned tables are read only",
			store.ErrUnsupported, strings.Join(m.PartitionColumns, ", "))
	}
	return nil
}

// refuse reports the features that are not known.
func refuse(kind string, features, known []string) error {
	unknown := slices.DeleteFunc(slices.Clone(features), func(f string) bool { return slices.Contains(known, f) })
	if len(unknown) == 0 {
		return nil
	}
	return fmt.Errorf("%w: it needs %s feature %s", store.ErrUnsupported, kind, strings.Join(unknown, ", "))
}

// protocolFor returns what a table with these columns needs: the given protocol, or one that has what is missing.
// A nil have is a new table.
func protocolFor(have *Protocol, s *structType) *Protocol {
	switch {
	case have == nil && s.hasNTZ():
		ntz := []string{featureNTZ}
		return &Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: ntz, WriterFeatures: ntz}
	case have == nil:
		return &Protocol{MinReaderVersion: 1, MinWriterVersion: 2}
	case !s.hasNTZ() || slices.Contains(have.ReaderFeatures, featureNTZ):
		return have
	}
	writer := slices.Clone(have.WriterFeatures)
	if have.MinWriterVersion >= 2 && have.MinWriterVersion < 7 {
		writer = append(writer, legacyWriter[2]...)
	}
	if !slices.Contains(writer, featureNTZ) {
		writer = append(writer, featureNTZ)
	}
	return &Protocol{MinReaderVersion: 3, MinWriterVersion: 7,
		ReaderFeatures: append(slices.Clone(have.ReaderFeatures), featureNTZ), WriterFeatures: writer}
}

// constrained returns a column with an invariant, or a struct column with a member that may not be null. (Columns
// that may not be null are checked by whoever writes.)
func (s *structType) constrained() (string, bool) {
	for _, f := range s.Fields {
		if raw, ok := f.Metadata["delta.invariants"]; ok && string(raw) != "null" {
			return f.Name, true
		}
		if f.Type.Struct != nil {
			for _, m := range f.Type.Struct.Fields {
				if !m.Nullable {
					return f.Name + "." + m.Name, true
				}
			}
			if name, ok := f.Type.Struct.constrained(); ok {
				return f.Name + "." + name, true
			}
		}
	}
	return "", false
}

// hasNTZ reports whether a column holds wall-clock times without a zone, at any depth.
func (s *structType) hasNTZ() bool {
	return slices.ContainsFunc(s.Fields, func(f field) bool { return f.Type.hasNTZ() })
}

func (t *dataType) hasNTZ() bool {
	switch {
	case t.Struct != nil:
		return t.Struct.hasNTZ()
	case t.Elem != nil:
		return t.Elem.hasNTZ()
	case t.Key != nil:
		return t.Key.hasNTZ() || t.Value.hasNTZ()
	}
	return t.Name == "timestamp_ntz"
}

// present reports whether a raw JSON value is there and not null.
func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }
