#include "check.h"

#include <stdlib.h>

#include "prgate/buf.h"
#include "prgate/patch.h"

static const struct {
    const char *row;
    const char *name;
    const char *patch;
    bool counts;
} rows[] = {
    {"code", "a.c", "@@ -1 +1,2 @@\n x\n+int a;", true},
    {"code in place of code", "a.c", "@@ -1 +1 @@\n-int a;\n+int b;", true},
    {"deleted only", "a.c", "@@ -1,2 +1 @@\n x\n-int a;", false},
    {"deleted, and a blank line", "a.c", "@@ -1,2 +1,2 @@\n x\n-int a;\n+  ", false},
    {"blank lines", "a.unknown", "@@ -1 +1,3 @@\n x\n+\n+\t", false},
    {"no hunk", "a.c", "", false},

    {"line comment", "a.c", "@@ -1 +1,2 @@\n x\n+  // why", false},
    {"of a file of an unknown kind", "a.unknown", "@@ -1 +1,2 @@\n x\n+// why", true},
    {"of a file without ending", "LICENSE", "@@ -1 +1,2 @@\n x\n+// why", true},
    {"of a hidden file, which has no ending", "x/.c", "@@ -1 +1,2 @@\n x\n+// why", true},
    {"the ending's case", "A.CPP", "@@ -1 +1,2 @@\n x\n+// why", false},
    {"code, then a comment", "a.c", "@@ -1 +1,2 @@\n x\n+a(); // why", true},
    {"a comment, then code", "a.c", "@@ -1 +1,2 @@\n x\n+/* why */ a();", true},
    {"block comment", "a.dart", "@@ -1 +1,2 @@\n x\n+/* why */", false},
    {"two, and a line comment", "a.go", "@@ -1 +1,2 @@\n x\n+/* a */ /* b */ // c", false},
    {"of several lines", "a.rs", "@@ -1 +1,5 @@\n x\n+/*\n+ * why\n+\n+ */", false},
    {"code behind its end", "a.rs", "@@ -1 +1,3 @@\n x\n+/* why\n+ */ a();", true},
    {"code behind it", "a.rs", "@@ -1 +1,4 @@\n x\n+/* why\n+ */\n+a();", true},
    {"within one that is shown", "a.java", "@@ -1,3 +1,4 @@\n /**\n  * a\n+ * b\n  */", false},
    {"within one that is not shown", "a.java", "@@ -5,2 +5,3 @@\n  * a\n+ * b\n  */", true},
    {"within one of another hunk", "a.java", "@@ -1 +1 @@\n /*\n@@ -5 +5,2 @@\n  * a\n+ * b", true},
    {"within one that only was", "a.java", "@@ -1,2 +1,3 @@\n-/*\n x\n+ * b", true},
    {"opened behind code: it may be in quotes", "a.js", "@@ -1 +1,2 @@\n a(\"/*\");\n+b();", true},
    {"opened behind code, for real", "a.js", "@@ -1 +1,2 @@\n a(); /* b\n+ * c", true},
    {"a changed comment", "a.swift", "@@ -1 +1 @@\n-// a\n+// b", false},
    {"commented out", "a.kt", "@@ -1 +1 @@\n-a();\n+// a();", false},
    {"comment in", "a.kt", "@@ -1 +1 @@\n-// a();\n+a();", true},
    {"preprocessor", "a.h", "@@ -1 +1,2 @@\n x\n+#define A 1", true},
    {"a number sign is no comment of C", "a.cc", "@@ -1 +1,2 @@\n x\n+# why", true},
    {"division", "a.c", "@@ -1 +1,2 @@\n x\n+/ 2;", true},
    {"what builds in Go", "a.go", "@@ -1 +1,2 @@\n x\n+//go:build linux", true},
    {"what does not in C", "a.c", "@@ -1 +1,2 @@\n x\n+//go:build linux", false},

    {"Python", "a.py", "@@ -1 +1,2 @@\n x\n+    # why", false},
    {"two slashes are none of Python", "a.py", "@@ -1 +1,2 @@\n x\n+// 2", true},
    {"shell", "tools/a.sh", "@@ -1 +1,2 @@\n x\n+# why", false},
    {"which shell", "a.sh", "@@ -1 +1 @@\n-#!/bin/sh\n+#!/bin/bash", true},
    {"YAML", ".ci.yaml", "@@ -1 +1,2 @@\n x\n+  # why", false},
    {"Ruby", "a.rb", "@@ -1 +1,2 @@\n x\n+# why", false},
    {"CMake", "x/CMakeLists.txt", "@@ -1 +1,2 @@\n x\n+# why", false},
    {"another text", "x/Lists.txt", "@@ -1 +1,2 @@\n x\n+# why", true},
    {"make", "Makefile", "@@ -1 +1,2 @@\n x\n+# why", false},
    {"HTML", "a.html", "@@ -1 +1,3 @@\n x\n+<!-- why\n+still -->", false},
    {"HTML, and code", "a.html", "@@ -1 +1,2 @@\n x\n+<!-- why --><b>", true},
    {"Markdown's heading", "a.md", "@@ -1 +1,2 @@\n x\n+# Title", true},
    {"Markdown", "a.md", "@@ -1 +1,2 @@\n x\n+<!-- why -->", false},

    {"indented", "a.c", "@@ -1 +1 @@\n-a();\n+\ta();", false},
    {"blanks within", "a.unknown", "@@ -1 +1 @@\n-a(b, c)\n+a( b,c )", false},
    {"the line's end", "a.c", "@@ -1 +1 @@\n-a();\r\n+a();", false},
    {"moved", "a.c", "@@ -1,2 +1 @@\n-a();\n x\n@@ -9 +8,2 @@\n x\n+a();", false},
    {"moved, and one more", "a.c", "@@ -1 +1,2 @@\n-a();\n+a();\n+a();", true},
    {"one of several deleted", "a.c", "@@ -1,3 +1 @@\n-a();\n-b();\n-c();\n+b();", false},
    {"swapped, indented, commented", "a.c", "@@ -1,2 +1,3 @@\n-a();\n-b();\n+  b();\n+// now\n+a();", false},
    {"letter case", "a.c", "@@ -1 +1 @@\n-A();\n+a();", true},
    {"Python's indentation", "a.py", "@@ -1 +1 @@\n-    a()\n+a()", true},
    {"Python's other blanks", "a.py", "@@ -1 +1 @@\n-    a(b,c)\n+    a(b, c)", false},
    {"a blank line of Python", "a.py", "@@ -1 +1,2 @@\n x\n+      ", false},

    {"no newline at the end", "a.c", "@@ -1 +1 @@\n-a();\n\\ No newline at end of file\n+a();", false},
    {"lines that look like file headers", "a.c", "@@ -1 +1 @@\n x\n+++a;", true},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct patch_file file = {
            .name = rows[i].name, .status = "modified", .additions = 1, .patch = rows[i].patch};
        check_bool(rows[i].row, "counts", patch_counts(&file), rows[i].counts);
    }
}

static void test_without_a_patch(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        struct patch_file file;
        bool counts;
    } files[] = {
        {"binary", {"a.png", "modified", 0, 0, NULL}, true},
        {"new binary", {"a.png", "added", 0, 0, NULL}, true},
        {"too large", {"a.c", "modified", 9000, 10, NULL}, true},
        {"too large, deletions only", {"a.c", "modified", 0, 9000, NULL}, false},
        {"renamed", {"a.c", "renamed", 0, 0, NULL}, false},
        {"renamed and changed", {"a.c", "renamed", 5, 0, NULL}, true},
        {"removed", {"a.c", "removed", 0, 9000, NULL}, false},
        {"removed, shown", {"a.c", "removed", 0, 1, "@@ -1 +0,0 @@\n-a();"}, false},
        {"renamed, shown", {"a.c", "renamed", 1, 0, "@@ -1 +1,2 @@\n x\n+a();"}, true},
        {"copied", {"a.c", "copied", 0, 0, NULL}, true},
        {"a kind of change that is not known", {"a.c", "twisted", 0, 0, NULL}, true},
    };
    for (size_t i = 0; i < COUNT_OF(files); i++)
        check_bool(files[i].row, "counts", patch_counts(&files[i].file), files[i].counts);
}

/* All of 20,000 lines moved, backwards: sorted, not compared each with each. */
static void test_a_large_one(void **state)
{
    (void)state;
    enum { LINES = 20000 };
    struct buf patch;
    buf_init(&patch);
    buf_adds(&patch, "@@ -1 +1 @@\n");
    for (int i = 0; i < LINES; i++)
        buf_addf(&patch, "-line(%d);\n", i);
    for (int i = LINES - 1; i >= 0; i--)
        buf_addf(&patch, "+  line(%d);\n", i);
    struct patch_file file = {.name = "a.c", .status = "modified", .patch = buf_text(&patch)};
    assert_false(patch_counts(&file));
    buf_adds(&patch, "+line(-1);\n");
    file.patch = buf_text(&patch);
    assert_true(patch_counts(&file));
    buf_release(&patch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_without_a_patch),
        cmocka_unit_test(test_a_large_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
