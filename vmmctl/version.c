// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <string.h>

#include "version.h"

static int rank(unsigned char c)
{
	if (c == '~')
		return -1;
	if (!c || isdigit(c))
		return 0;
	return isalpha(c) ? c : c + 256;
}

/* any length of digits, so no integer would do */
static int compare_digits(const char **a, const char **b)
{
	size_t la, lb;
	int ret;

	*a += strspn(*a, "0");
	*b += strspn(*b, "0");
	la = strspn(*a, "0123456789");
	lb = strspn(*b, "0123456789");
	ret = la != lb ? (la < lb ? -1 : 1) : strncmp(*a, *b, la);
	*a += la;
	*b += lb;
	return ret;
}

int version_compare(const char *a, const char *b)
{
	int ret;

	while (*a || *b) {
		while ((*a && !isdigit((unsigned char)*a)) || (*b && !isdigit((unsigned char)*b))) {
			ret = rank(*a) - rank(*b);
			if (ret)
				return ret;
			a++;
			b++;
		}
		ret = compare_digits(&a, &b);
		if (ret)
			return ret;
	}
	return 0;
}
