package engine

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// joinNames are the columns that relate the parents' rows: those that identify the samples of all parents after the
// lineage, under their names in the child, or the child's own ids if there are none.
func (p *plan) joinNames() []string {
	var join []string
	for i, parent := range p.feature.Parents() {
		ids := parent.OutputIDs(p.feature)
		if i == 0 {
			join = distinct(ids)
		} else {
			join = slices.DeleteFunc(join, func(c string) bool { return !slices.Contains(ids, c) })
		}
	}
	if len(join) == 0 {
		return idColumns(p.feature)
	}
	return join
}

// compareNames are the columns by which expected and stored samples are compared. Metaxy takes the join columns.
// Where these are only a part of the child's ids, one sample would be compared with another one's row, so the ids
// decide. The ids of a feature that expands a parent are only known once it is computed, unless the other parents
// have them; its samples are compared by the join columns, and stand for all their children.
func (p *plan) compareNames() []string {
	join, ids := p.joinNames(), idColumns(p.feature)
	for _, c := range join {
		if !slices.Contains(ids, c) {
			return join
		}
	}
	known := p.knownIDs()
	for _, id := range ids {
		if !slices.ContainsFunc(p.sources, func(s source) bool { return s.has(id) }) {
			return join
		}
		if known != nil && !slices.Contains(known, id) {
			return join
		}
	}
	return ids
}

// SampleColumns are the columns that tell the samples of f apart before they are computed: its id columns. If f expands a
// parent (lineage 1:N), and has ids that no parent has, they are what all parents have in common.
func SampleColumns(f *feature.Feature) []string {
	p := &plan{feature: f}
	known := p.knownIDs()
	for _, parent := range f.Parents() {
		if parent.Dep.Lineage.Kind != feature.OneToMany {
			continue
		}
		if slices.ContainsFunc(idColumns(f), func(id string) bool { return !slices.Contains(known, id) }) {
			return p.joinNames()
		}
	}
	return idColumns(f)
}

// knownIDs are the columns that identify the parents' samples after the lineage, where it is not one to one; nil if
// other columns of the parents can be ids too.
func (p *plan) knownIDs() []string {
	identity := true
	known := []string{}
	for _, parent := range p.feature.Parents() {
		identity = identity && parent.Dep.Lineage.Kind == feature.OneToOne
		known = append(known, parent.OutputIDs(p.feature)...)
	}
	if identity || p.given() {
		return nil
	}
	return known
}

func (s *source) has(name string) bool { _, ok := s.column(name); return ok }

func (s *source) column(name string) (sourceColumn, bool) {
	for _, c := range s.columns {
		if c.name == name && c.stored != "" {
			return c, true
		}
	}
	return sourceColumn{}, false
}

// planJoin decides which key columns are read of each source, and for what.
func (p *plan) planJoin() error {
	join := p.joinNames()
	compare := p.compareNames()
	if p.given() {
		join = nil
	}
	var err error
	for _, name := range join {
		if p.join, err = p.addKey(p.join, name, true); err != nil {
			return err
		}
	}
	for _, name := range compare {
		if p.compare, err = p.addKey(p.compare, name, slices.Contains(join, name)); err != nil {
			return err
		}
	}
	if p.given() {
		return nil
	}
	for i, parent := range p.feature.Parents() {
		if p.sources[i].scan.snap == nil {
			continue
		}
		if err := p.sources[i].planIDs(idColumns(parent.Feature)); err != nil {
			return err
		}
		if parent.Dep.Lineage.Kind != feature.ManyToOne {
			continue
		}
		if err := p.sources[i].planAggregation(p.feature, parent); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) given() bool { return len(p.sources) == 1 && p.sources[0].samples != nil }

// addKey adds a key column of the expected samples. If everywhere, every source must have it; else one gives it.
func (p *plan) addKey(keys []frameKey, name string, everywhere bool) ([]frameKey, error) {
	k := frameKey{name: name}
	var first arrow.DataType
	for _, i := range p.order {
		s := &p.sources[i]
		c, ok := s.column(name)
		if !ok && everywhere {
			return nil, fmt.Errorf("%w: %s has no column %q to join by; there are %q",
				ErrPlan, s.name, name, columnNames(s.columns))
		}
		if !ok {
			continue
		}
		class := classOf(c.typ)
		switch {
		case class == 0:
			return nil, fmt.Errorf("%w: the id column %q of %s is of type %s; expected a string, a number, a boolean, a date "+
				"or a time", ErrPlan, name, s.name, c.typ)
		case first == nil:
			first, k.class = c.typ, class
		case class != k.class:
			return nil, fmt.Errorf("%w: the id column %q is of type %s in %s, but of type %s in %s; ids of different types "+
				"cannot be joined", ErrPlan, name, c.typ, s.name, first, p.sources[k.from[0].source].name)
		}
		k.from = append(k.from, sourceKey{i, s.addKey(c.stored)})
	}
	if len(k.from) == 0 && len(p.order) > 0 {
		return nil, fmt.Errorf("%w: %s has no id column %q; there are %q", ErrPlan, p.sources[0].name, name,
			columnNames(p.sources[0].columns))
	}
	return append(keys, k), nil
}

// addKey has a stored column read as a key and returns its number.
func (s *source) addKey(stored string) int {
	if i := slices.Index(s.scan.keys, stored); i >= 0 {
		return i
	}
	s.scan.keys = append(s.scan.keys, stored)
	return len(s.scan.keys) - 1
}

// planIDs has the parent's ids read and says which keys they are. They are sorted, so that a lookup by join columns
// that are the ids can use the index over these.
func (s *source) planIDs(ids []string) error {
	for _, id := range ids {
		if _, ok := store.Column(s.scan.snap.Schema(), id); !ok {
			return fmt.Errorf("%w: the table of %s has no column %q, which its feature declares as an id",
				ErrPlan, s.name, id)
		}
		s.scan.ids = append(s.scan.ids, s.addKey(id))
	}
	slices.Sort(s.scan.ids)
	return nil
}

// planTarget decides what is read of the feature's own table, which is nil if there is none.
func (p *plan) planTarget(snap store.Snapshot) error {
	var columns []sourceColumn
	if snap != nil {
		columns = tableColumns(snap.Schema())
	}
	name := fmt.Sprintf("the table of %q", p.feature.Key())
	filters, err := p.targetConditions(name, columns)
	if err != nil {
		return err
	}
	flags, err := p.staleConditions(name, columns)
	if err != nil || snap == nil {
		return err
	}
	t := &tableScan{key: p.feature.Key(), snap: snap, version: p.feature.Version(),
		texts: []string{feature.ColProvenance}, filters: filters, flags: flags}
	for _, k := range p.compare {
		f, ok := store.Column(snap.Schema(), k.name)
		if !ok {
			return fmt.Errorf("%w: the table of %q has no column %q to compare by", ErrPlan, t.key, k.name)
		}
		if class := classOf(f.Type); class != k.class && len(k.from) > 0 {
			return fmt.Errorf("%w: the column %q is of type %s in the table of %q, but samples are expected with %s; ids of "+
				"different types cannot be compared", ErrPlan, k.name, f.Type, t.key, p.typeOf(k))
		}
		p.targetCompare = append(p.targetCompare, len(t.keys))
		t.keys = append(t.keys, k.name)
	}
	for _, id := range idColumns(p.feature) {
		if _, ok := store.Column(snap.Schema(), id); !ok {
			return fmt.Errorf("%w: the table of %q has no column %q, which the feature declares as an id",
				ErrPlan, t.key, id)
		}
		i := slices.Index(t.keys, id)
		if i < 0 {
			i = len(t.keys)
			t.keys = append(t.keys, id)
		}
		t.ids = append(t.ids, i)
	}
	slices.Sort(t.ids)
	p.target = t
	return nil
}

// typeOf is the type of a key column in the expected samples.
func (p *plan) typeOf(k frameKey) arrow.DataType {
	s := p.sources[k.from[0].source]
	c, _ := s.column(k.name)
	return c.typ
}
