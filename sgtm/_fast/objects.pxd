# Nested event data: copied, merged, lists made of numbered members.

cdef inline object lists_in(object node):
    # Objects whose keys run from 0 to n - 1 become lists (SPEC: ga4-protocol 11.3).
    if type(node) is not dict:
        return node
    for step in <dict> node:
        (<dict> node)[step] = lists_in((<dict> node)[step])
    for index in range(len(<dict> node)):
        if str(index) not in <dict> node:
            return node
    return [(<dict> node)[str(index)] for index in range(len(<dict> node))]


cdef inline object copy_of(object value):
    if type(value) is dict:
        return {key: copy_of(member) for key, member in (<dict> value).items()}
    if type(value) is list:
        return [copy_of(member) for member in <list> value]
    return value


cdef inline int merge(dict line, dict shared) except -1:
    # Add what the line did not set (SPEC: ga4-protocol 2.3). Objects of members are merged (11.3: the
    # system parameters of a line and of the URL are one object), a region is one value.
    for key, value in shared.items():
        if key not in line:
            line[key] = copy_of(value)
        elif type(value) is dict or type(value) is list:
            own = line[key]
            if type(own) is dict and type(value) is dict:
                if key != "event_location":
                    merge(own, value)
            elif type(own) is not dict and type(own) is not list:
                line[key] = copy_of(value)
    return 0
