package schema

// Slug names a kind of problem for programs; slugs do not change between versions.
type Slug string

// Slugs lists every kind of problem with its meaning. Reports and the reference print this table.
var Slugs = []struct {
	Slug    Slug
	Meaning string
}{
	{fileTooBig, "the file is over 16 MiB"},
	{notUTF8, "a byte that is not UTF-8"},
	{byteOrderMark, "a byte order mark"},
	{controlCharacter, "a control character, written or escaped"},
	{hiddenCharacter, "a bidirectional or invisible character, written or escaped"},
	{tooManyValues, "more values than a plan can have"},
	{tooDeep, "nested deeper than a plan can be"},

	{notYAML, "the file is not YAML"},
	{directive, "a % directive"},
	{emptyFile, "no plan in the file"},
	{severalDocuments, "more than one YAML document"},
	{anchor, "an anchor (&)"},
	{alias, "an alias (*)"},
	{merge, "a merge (<<)"},
	{tag, "a tag (!)"},
	{duplicateKey, "a key that is there twice"},
	{lookalikeKey, "a key that looks like another one in the same place"},
	{keyNotText, "a key that is not text"},
	{noValue, "a key or list entry without a value"},
	{booleanSpelling, "yes, no, on, off and the like"},
	{notFinite, "infinity or not-a-number"},
	{numberSpelling, "a number that YAML's versions read differently"},
	{sexagesimal, "a text with colons that YAML 1.1 reads as a number"},
	{fraction, "a number that is not whole"},
	{numberTooBig, "a number beyond 64 bits"},

	{wrongType, "another type than the key takes"},
	{unknownKey, "a key that no plan has"},
	{missingKey, "a key that must be there"},
	{badValue, "none of the values that the key takes"},
	{outOfRange, "a number that is too small or too big"},
	{empty, "an empty text, list or mapping"},
	{tooLong, "a text that is too long"},

	{badAddress, "not an IP address or prefix"},
	{leadingZero, "a leading zero in an IPv4 address"},
	{mappedAddress, "an IPv4 address written as IPv6"},
	{zone, "an IPv6 address with a zone"},
	{hostBits, "host bits in a prefix"},
	{addressScope, "an address that no tunnel end can have"},
	{lengthMismatch, "from and to of different length"},
	{familyChange, "another address family for more than a host"},
	{noChange, "from and to are the same"},
	{duplicateFrom, "two entries with one from"},
	{duplicateTo, "two entries with one to"},
	{addressCollision, "two addresses become one"},

	{badSPI, "an SPI that is not hex in quotes"},
	{reservedSPI, "an SPI that no SA can have"},
	{badHex, "not a number in hex"},
	{markOutsideMask, "bits of a mark's value outside its mask"},
	{mixedFamilies, "prefixes of different address families"},
	{badName, "a name with characters it cannot have"},
	{badPath, "a path that is not absolute or not clean"},
	{duplicateName, "a name that is there twice"},

	{badTime, "not a time in RFC 3339"},
	{timeZone, "a time without a zone"},
	{windowEmpty, "a window that ends before it begins"},
	{badDuration, "not a duration"},
	{badSize, "not the size of a wave"},
	{groupsLeftOver, "waves that leave groups over"},
	{wavesOverfull, "waves that take more than all groups"},

	{driverMissing, "reestablish without a driver"},
	{driverMismatch, "a key that the driver does not take, or lacks"},
}

// What the bytes are refused for.
const (
	fileTooBig       Slug = "file-too-big"
	notUTF8          Slug = "not-utf8"
	byteOrderMark    Slug = "byte-order-mark"
	controlCharacter Slug = "control-character"
	hiddenCharacter  Slug = "hidden-character"
	tooManyValues    Slug = "too-many-values"
	tooDeep          Slug = "too-deep"
)

// What the YAML is refused for.
const (
	notYAML          Slug = "not-yaml"
	directive        Slug = "directive"
	emptyFile        Slug = "empty-file"
	severalDocuments Slug = "several-documents"
	anchor           Slug = "anchor"
	alias            Slug = "alias"
	merge            Slug = "merge"
	tag              Slug = "tag"
	duplicateKey     Slug = "duplicate-key"
	lookalikeKey     Slug = "lookalike-key"
	keyNotText       Slug = "key-not-text"
	noValue          Slug = "no-value"
	booleanSpelling  Slug = "boolean-spelling"
	notFinite        Slug = "not-finite"
	numberSpelling   Slug = "number-spelling"
	sexagesimal      Slug = "sexagesimal"
	fraction         Slug = "fraction"
	numberTooBig     Slug = "number-too-big"
)

// What the JSON Schema is violated by.
const (
	wrongType  Slug = "wrong-type"
	unknownKey Slug = "unknown-key"
	missingKey Slug = "missing-key"
	badValue   Slug = "bad-value"
	outOfRange Slug = "out-of-range"
	empty      Slug = "empty"
	tooLong    Slug = "too-long"
)

// What makes no sense as a plan.
const (
	badAddress       Slug = "bad-address"
	leadingZero      Slug = "leading-zero"
	mappedAddress    Slug = "mapped-address"
	zone             Slug = "zone"
	hostBits         Slug = "host-bits"
	addressScope     Slug = "address-scope"
	lengthMismatch   Slug = "length-mismatch"
	familyChange     Slug = "family-change"
	noChange         Slug = "no-change"
	duplicateFrom    Slug = "duplicate-from"
	duplicateTo      Slug = "duplicate-to"
	addressCollision Slug = "address-collision"
	badSPI           Slug = "bad-spi"
	reservedSPI      Slug = "reserved-spi"
	badHex           Slug = "bad-hex"
	markOutsideMask  Slug = "mark-outside-mask"
	mixedFamilies    Slug = "mixed-families"
	badName          Slug = "bad-name"
	badPath          Slug = "bad-path"
	duplicateName    Slug = "duplicate-name"
	badTime          Slug = "bad-time"
	timeZone         Slug = "time-zone"
	windowEmpty      Slug = "window-empty"
	badDuration      Slug = "bad-duration"
	badSize          Slug = "bad-size"
	groupsLeftOver   Slug = "groups-left-over"
	wavesOverfull    Slug = "waves-overfull"
	driverMissing    Slug = "driver-missing"
	driverMismatch   Slug = "driver-mismatch"
)
