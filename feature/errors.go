package feature

import (
	"errors"
	"fmt"
	"slices"
)

var (
	// ErrKey reports a name that breaks the rules for keys.
	ErrKey = errors.New("invalid key")
	// ErrSpec reports a feature that is declared wrongly.
	ErrSpec = errors.New("invalid spec")
	// ErrUnknown reports a name that no feature or field has.
	ErrUnknown = errors.New("unknown name")
	// ErrCycle reports features that depend on each other in a circle.
	ErrCycle = errors.New("dependency cycle")
	// ErrMapping reports a field for which no parent field is found.
	ErrMapping = errors.New("no parent field")
	// ErrProject reports that the features do not say which project is meant.
	ErrProject = errors.New("no single project")
	// ErrOptions reports options that no graph can be computed under.
	ErrOptions = errors.New("invalid graph options")
)

// errCollision reports names that are one name in a table. Metaxy mixes such tables and fields up.
var errCollision = fmt.Errorf("%w: name collision", ErrSpec)

// A FeatureError is one problem of one feature. The functions of this package that check more than one thing join
// the problems with [errors.Join].
type FeatureError struct {
	// Feature is the key of the feature, as far as it could be read. Empty means that it could not.
	Feature Key
	// Field is the field that has the problem. Empty means that no single field has.
	Field Key
	// Path is the member of the spec's JSON that has the problem, such as "deps[0].select". Empty means that the
	// problem was not found while reading JSON, or concerns the whole spec.
	Path string
	// Err is the problem. It is never nil and wraps one of the sentinels of this package.
	Err error
}

// Error names the feature and the field before the problem.
func (e *FeatureError) Error() string {
	switch {
	case e.Feature == "":
		return fmt.Sprintf("a feature without a valid key: %v", e.Err)
	case e.Field == "":
		return fmt.Sprintf("feature %q: %v", e.Feature, e.Err)
	}
	return fmt.Sprintf("feature %q, field %q: %v", e.Feature, e.Field, e.Err)
}

// Unwrap returns the problem.
func (e *FeatureError) Unwrap() error { return e.Err }

// specProblem is a problem of one member of a spec; the feature is filled in by whoever knows it.
func specProblem(field Key, path, format string, args ...any) *FeatureError {
	err := fmt.Errorf(format, args...)
	if path != "" {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return &FeatureError{Field: field, Path: path, Err: fmt.Errorf("%w: %w", ErrSpec, err)}
}

// joinProblems joins the problems by feature; those of one feature stay in the order in which they were found.
func joinProblems(problems []*FeatureError) error {
	slices.SortStableFunc(problems, func(x, y *FeatureError) int { return x.Feature.Compare(y.Feature) })
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}
