package engine

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A Stamp is what all rows of one write have in common.
type Stamp struct {
	// MaterializationID is stored with every row; "" stores null.
	MaterializationID string
	// Now is the time of the write; the zero value is stored as it is.
	Now time.Time
	// Hashing makes the versions that are missing; the zero value is the whole output of xxh3_64.
	Hashing Hashing
	// ProjectVersion is stored with every row; "" stores null.
	ProjectVersion string
	// PreserveVersions keeps the feature and project versions of rows that have both columns; false replaces them.
	PreserveVersions bool
	// Replaced are the stored rows from the future that the rows take the place of, see [Increment.Replaced]. Nil stamps
	// every row with Now.
	Replaced *Replaced
}

// Seal completes computed rows for storing. Versions of data that are given are kept, and so are metaxy_provenance,
// metaxy_created_at and metaxy_deleted_at; what is missing is computed. What belongs to the write is replaced: the
// feature and project versions, metaxy_updated_at and metaxy_materialization_id. A column of an untyped null counts
// as missing. Rows without metaxy_provenance_by_field, or with one that is not a struct, give an error wrapping
// ErrRows.
func Seal(f *feature.Feature, rows arrow.RecordBatch, by Stamp) (arrow.RecordBatch, error) {
	s, err := newSealer(f, rows, by)
	if err == nil {
		err = s.seal()
	}
	if err != nil {
		return nil, fmt.Errorf("seal rows of %q: %w", f.Key(), err)
	}
	return s.record(), nil
}

// Tombstones turns stored rows into their soft deletion at by.Now, or right after they were written if that is later.
// They keep everything else but what belongs to the write: the feature and project versions and
// metaxy_materialization_id.
func Tombstones(f *feature.Feature, rows arrow.RecordBatch, by Stamp) (arrow.RecordBatch, error) {
	s, err := newSealer(f, rows, by)
	if err != nil {
		return nil, fmt.Errorf("delete rows of %q: %w", f.Key(), err)
	}
	updated := s.column(feature.ColUpdatedAt)
	deleted, err := s.deletions()
	if err != nil {
		return nil, fmt.Errorf("delete rows of %q: %w", f.Key(), err)
	}
	s.set(feature.ColDeletedAt, deleted)
	if err := s.seal(); err != nil {
		return nil, fmt.Errorf("delete rows of %q: %w", f.Key(), err)
	}
	if updated != nil {
		s.set(feature.ColUpdatedAt, updated)
	}
	return s.record(), nil
}

// A sealer holds rows while system columns are added.
type sealer struct {
	feature *feature.Feature
	by      Stamp
	rows    int
	fields  []arrow.Field
	cols    []arrow.Array
}

func newSealer(f *feature.Feature, rows arrow.RecordBatch, by Stamp) (*sealer, error) {
	schema, err := store.StoredSchema(rows.Schema())
	if err != nil {
		return nil, err
	}
	rec, err := store.Conform(rows, schema)
	if err != nil {
		return nil, err
	}
	s := &sealer{feature: f, by: by, rows: int(rec.NumRows())}
	for i, field := range rec.Schema().Fields() {
		s.fields, s.cols = append(s.fields, field), append(s.cols, rec.Column(i))
	}
	return s, nil
}

// seal fills in the system columns, each at its place if it is there and at the end else.
func (s *sealer) seal() error {
	byField := s.column(feature.ColProvenanceByField)
	if byField == nil {
		return fmt.Errorf("%w: there is no column %s; pass on the one that resolve gave",
			ErrRows, feature.ColProvenanceByField)
	}
	if err := checkByField(feature.ColProvenanceByField, byField.DataType()); err != nil {
		return err
	}
	if longest := max(len(s.feature.Version()), len(s.by.ProjectVersion), len(s.by.MaterializationID)); s.rows*longest > math.MaxInt32 {
		return fmt.Errorf("%d rows are too many at once", s.rows)
	}
	versioned := s.column(feature.ColFeatureVersion) != nil && s.column(feature.ColProjectVersion) != nil
	if !s.by.PreserveVersions || !versioned {
		s.set(feature.ColFeatureVersion, s.texts(s.feature.Version()))
		s.set(feature.ColProjectVersion, s.texts(s.by.ProjectVersion))
	}
	if s.column(feature.ColProvenance) == nil {
		provenance, err := s.hash(feature.ColProvenanceByField, byField)
		if err != nil {
			return err
		}
		s.set(feature.ColProvenance, provenance)
	}
	if s.column(feature.ColCreatedAt) == nil {
		s.set(feature.ColCreatedAt, s.times())
	}
	updated, err := s.updates()
	if err != nil {
		return err
	}
	s.set(feature.ColUpdatedAt, updated)
	if s.column(feature.ColDeletedAt) == nil {
		s.set(feature.ColDeletedAt, array.MakeArrayOfNull(memory.DefaultAllocator, timeType, s.rows))
	}
	s.set(feature.ColMaterializationID, s.texts(s.by.MaterializationID))
	return s.sealDataVersions(byField, s.column(feature.ColProvenance))
}

// sealDataVersions makes the data versions those that are given, and the provenance where none is.
func (s *sealer) sealDataVersions(byField, provenance arrow.Array) error {
	given := s.column(feature.ColDataVersionByField)
	if given == nil {
		s.set(feature.ColDataVersionByField, byField)
		s.set(feature.ColDataVersion, provenance)
		return nil
	}
	if err := checkByField(feature.ColDataVersionByField, given.DataType()); err != nil {
		return err
	}
	filled, err := fillNulls(feature.ColDataVersionByField, given, byField)
	if err != nil {
		return err
	}
	s.set(feature.ColDataVersionByField, filled)
	version := s.column(feature.ColDataVersion)
	if version == nil {
		version, err = s.hash(feature.ColDataVersionByField, filled)
	} else {
		version, err = fillNulls(feature.ColDataVersion, version, provenance)
	}
	if err != nil {
		return err
	}
	s.set(feature.ColDataVersion, version)
	return nil
}

func checkByField(name string, t arrow.DataType) error {
	switch t.(type) {
	case *arrow.StructType, *arrow.MapType:
		return nil
	}
	return fmt.Errorf("%w: %s is of type %s; expected a struct with a member for each field", ErrRows, name, t)
}

// fillNulls takes from other what is null in a. Structs get the members of both.
func fillNulls(name string, a, other arrow.Array) (arrow.Array, error) {
	if a.NullN() == 0 {
		return a, nil
	}
	one := func(a arrow.Array) *arrow.Schema {
		return arrow.NewSchema([]arrow.Field{{Name: name, Type: a.DataType(), Nullable: true}}, nil)
	}
	schema, err := store.MergeSchema(one(a), one(other))
	if err != nil {
		return nil, err
	}
	if a, err = conformArray(a, schema.Field(0)); err != nil {
		return nil, err
	}
	if other, err = conformArray(other, schema.Field(0)); err != nil {
		return nil, err
	}
	rows := make([]int, a.Len())
	for i := range rows {
		rows[i] = i
		if a.IsNull(i) {
			rows[i] += a.Len()
		}
	}
	both, err := array.Concatenate([]arrow.Array{a, other}, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	return store.TakeArray(both, rows)
}

// hash returns the version of each row by the versions of its fields.
func (s *sealer) hash(name string, byField arrow.Array) (arrow.Array, error) {
	if err := checkMembers(s.feature, arrow.Field{Name: name, Type: byField.DataType()}); err != nil {
		return nil, err
	}
	return sampleVersions(s.feature, s.by.Hashing, byField)
}

// sampleVersions returns the version of each row by the versions of its fields.
func sampleVersions(f *feature.Feature, h Hashing, byField arrow.Array) (arrow.Array, error) {
	var fields []fieldPlan
	var texts []cells
	for i, field := range specFields(f) {
		text, err := memberCells(byField, field.Key.StructKey())
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
		fields = append(fields, givenField(field, i))
	}
	plan := orderFields(fields)
	out, err := computeVersions(&plan, h, []sourceTexts{{members: texts}}, byField.Len())
	return out.sample, err
}

func (s *sealer) index(name string) int {
	for i, f := range s.fields {
		if f.Name == name {
			return i
		}
	}
	return -1
}

// column returns the named column, or nil.
func (s *sealer) column(name string) arrow.Array {
	if i := s.index(name); i >= 0 {
		return s.cols[i]
	}
	return nil
}

func (s *sealer) set(name string, col arrow.Array) {
	field := arrow.Field{Name: name, Type: col.DataType(), Nullable: true}
	if i := s.index(name); i >= 0 {
		s.fields[i], s.cols[i] = field, col
		return
	}
	s.fields, s.cols = append(s.fields, field), append(s.cols, col)
}

// texts is a column of one text, or of nulls for "".
func (s *sealer) texts(text string) arrow.Array {
	if text == "" {
		return array.MakeArrayOfNull(memory.DefaultAllocator, arrow.BinaryTypes.String, s.rows)
	}
	offsets := make([]int32, s.rows+1)
	for i := range offsets {
		offsets[i] = int32(i * len(text))
	}
	buffers := []*memory.Buffer{nil, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets)),
		memory.NewBufferBytes(bytes.Repeat([]byte(text), s.rows))}
	return array.MakeFromData(array.NewData(arrow.BinaryTypes.String, s.rows, buffers, nil, 0, 0))
}

// timeType is how moments are stored.
var timeType = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}

// times is a column of the time of the write.
func (s *sealer) times() arrow.Array {
	return timesOf(slices.Repeat([]int64{s.by.Now.UnixMicro()}, s.rows))
}

// updates is a column of times that are later than those of the rows that are replaced.
func (s *sealer) updates() (arrow.Array, error) {
	times, err := s.by.Replaced.times(s.record(), s.by.Now.UnixMicro())
	if err != nil {
		return nil, err
	}
	return timesOf(times), nil
}

// deletions is a column of times that are later than those of the rows themselves.
func (s *sealer) deletions() (arrow.Array, error) {
	rec := s.record()
	var c chunk
	var err error
	if c.updated, err = timeColumn(rec, feature.ColUpdatedAt); err != nil {
		return nil, err
	}
	c.deleted = nullCells(s.rows)
	times := make([]int64, s.rows)
	for i := range times {
		times[i] = max(s.by.Now.UnixMicro(), following(c.time(i)))
	}
	return timesOf(times), nil
}

func timesOf(micros []int64) arrow.Array {
	buffers := []*memory.Buffer{nil, memory.NewBufferBytes(arrow.Int64Traits.CastToBytes(micros))}
	return array.MakeFromData(array.NewData(timeType, len(micros), buffers, nil, 0, 0))
}

func (s *sealer) record() arrow.RecordBatch {
	return array.NewRecordBatch(arrow.NewSchema(s.fields, nil), s.cols, int64(s.rows))
}
